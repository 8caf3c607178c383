#include "backward.h"

#include <cstring>

#include "op_table.h"

namespace onestep {

uint32_t Backward::write(onestep_op op, Dims dims, std::vector<uint32_t> inputs) {
  Node node;
  node.op = op;
  node.dims = std::move(dims);
  node.inputs = std::move(inputs);
  graph_.nodes.push_back(std::move(node));
  return static_cast<uint32_t>(graph_.nodes.size()) - 1;
}

uint32_t Backward::write_as(uint32_t other, onestep_op op, Dims dims,
                            std::vector<uint32_t> inputs) {
  uint32_t id = write(op, std::move(dims), std::move(inputs));
  const Node &from = graph_.nodes[other];
  std::memcpy(last().ints, from.ints, sizeof from.ints);
  std::memcpy(last().floats, from.floats, sizeof from.floats);
  return id;
}

uint32_t Backward::number(double value, uint32_t like) {
  auto single = static_cast<float>(value);
  uint32_t id = write(ONESTEP_OP_CONSTANT, {}, {});
  last().data.resize(sizeof single);
  std::memcpy(last().data.data(), &single, sizeof single);
  return broadcast(id, Dims(dims(like)));
}

uint32_t Backward::broadcast(uint32_t x, const Dims &to) {
  return dims(x) == to ? x : write(ONESTEP_OP_BROADCAST, to, {x});
}

uint32_t Backward::reshape(uint32_t x, const Dims &to) {
  return dims(x) == to ? x : write(ONESTEP_OP_RESHAPE, to, {x});
}

uint32_t Backward::sum(uint32_t x, const std::vector<int64_t> &axes) {
  if (axes.empty()) return x;
  Dims to = dims(x);
  for (int64_t axis : axes) to[static_cast<size_t>(axis)] = 1;
  uint32_t id = write(ONESTEP_OP_REDUCE_SUM, to, {x});
  last().ints[0] = static_cast<int64_t>(axes.size());
  for (size_t i = 0; i < axes.size(); i++) last().ints[1 + i] = axes[i];
  return id;
}

namespace {

// Gradients of gradients that the engine has not either.
const char *why_not(onestep_op op) {
  switch (op) {
    case ONESTEP_OP_MAX_POOL_GRAD: return "second derivatives through max pooling are not provided";
    case ONESTEP_OP_CROSS_ENTROPY_GRAD:
      return "second derivatives need LOG_SOFTMAX and a product instead of CROSS_ENTROPY";
    default: return "this op has no gradient";
  }
}

GradientRule find_rule(onestep_op op) {
  for (auto family :
       {elementwise_gradient, movement_gradient, product_gradient, rows_gradient}) {
    if (GradientRule rule = family(op)) return rule;
  }
  return nullptr;
}

std::vector<bool> depends_on(const Graph &graph, const std::vector<uint32_t> &values) {
  std::vector<bool> depends(graph.nodes.size());
  for (uint32_t value : values) depends[value] = true;
  for (size_t i = 0; i < graph.nodes.size(); i++) {
    for (uint32_t input : graph.nodes[i].inputs) depends[i] = depends[i] || depends[input];
  }
  return depends;
}

}  // namespace

Status append_gradients(Graph *graph, uint32_t loss, const std::vector<uint32_t> &values,
                        std::vector<uint32_t> *out) {
  std::vector<bool> depends = depends_on(*graph, values);
  std::vector<uint32_t> gradients(graph->nodes.size(), ONESTEP_NO_VALUE);
  Backward b(graph);
  gradients[loss] = b.number(1, loss);
  for (uint32_t y = loss + 1; y-- > 0;) {
    std::vector<uint32_t> inputs = graph->nodes[y].inputs;
    if (gradients[y] == ONESTEP_NO_VALUE || !depends[y] || inputs.empty()) continue;
    onestep_op op = graph->nodes[y].op;
    GradientRule rule = find_rule(op);
    if (!rule) {
      return failure(ONESTEP_UNSUPPORTED, "node %u (%s): %s", y, find_op(op)->name, why_not(op));
    }
    Gradients shares = rule(b, {y, gradients[y]});
    for (size_t i = 0; i < inputs.size(); i++) {
      if (shares[i] == ONESTEP_NO_VALUE || !depends[inputs[i]]) continue;
      uint32_t &sum = gradients[inputs[i]];
      sum = sum == ONESTEP_NO_VALUE ? shares[i] : b.add(sum, shares[i]);
    }
  }
  for (uint32_t value : values) {
    bool reached = gradients[value] != ONESTEP_NO_VALUE;
    out->push_back(reached ? gradients[value] : b.number(0, value));
  }
  return ok();
}

}  // namespace onestep
