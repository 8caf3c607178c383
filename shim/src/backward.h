// Writes the backward pass of a graph as more nodes of it. The gradients are those of onestep_engine,
// op by op. Plain C++.
#pragma once

#include "graph.h"

namespace onestep {

// The value at which a gradient rule stands, and the gradient of the loss in it.
struct GradientSite {
  uint32_t y, dy;
};

// Appends nodes whose shapes follow.
class Backward {
 public:
  explicit Backward(Graph *graph) : graph_(*graph) {}

  const Node &node(uint32_t value) const { return graph_.nodes[value]; }
  const Dims &dims(uint32_t value) const { return graph_.nodes[value].dims; }
  uint32_t input(uint32_t value, size_t i) const { return graph_.nodes[value].inputs[i]; }

  // Any op in f32, all attributes 0.
  uint32_t write(onestep_op op, Dims dims, std::vector<uint32_t> inputs);
  // An op with the attributes of another node.
  uint32_t write_as(uint32_t other, onestep_op op, Dims dims, std::vector<uint32_t> inputs);
  Node &last() { return graph_.nodes.back(); }

  // A number repeated to the shape of a value.
  uint32_t number(double value, uint32_t like);
  uint32_t unary(onestep_op op, uint32_t x) { return write(op, dims(x), {x}); }
  uint32_t binary(onestep_op op, uint32_t a, uint32_t b) { return write(op, dims(a), {a, b}); }
  uint32_t add(uint32_t a, uint32_t b) { return binary(ONESTEP_OP_ADD, a, b); }
  uint32_t sub(uint32_t a, uint32_t b) { return binary(ONESTEP_OP_SUB, a, b); }
  uint32_t mul(uint32_t a, uint32_t b) { return binary(ONESTEP_OP_MUL, a, b); }
  uint32_t div(uint32_t a, uint32_t b) { return binary(ONESTEP_OP_DIV, a, b); }
  uint32_t neg(uint32_t x) { return unary(ONESTEP_OP_NEG, x); }
  uint32_t select(uint32_t condition, uint32_t a, uint32_t b) {
    return write(ONESTEP_OP_SELECT, dims(a), {condition, a, b});
  }
  uint32_t broadcast(uint32_t x, const Dims &to);
  uint32_t reshape(uint32_t x, const Dims &to);
  // The sum over some axes, which stay as 1.
  uint32_t sum(uint32_t x, const std::vector<int64_t> &axes);

 private:
  Graph &graph_;
};

// The gradients in each operand; ONESTEP_NO_VALUE where none passes.
using Gradients = std::vector<uint32_t>;
using GradientRule = Gradients (*)(Backward &b, const GradientSite &site);

// The rules by family; null for an op of another family.
GradientRule elementwise_gradient(onestep_op op);
GradientRule movement_gradient(onestep_op op);
GradientRule product_gradient(onestep_op op);
GradientRule rows_gradient(onestep_op op);

// Appends the gradients of a scalar in some values of a checked graph.
Status append_gradients(Graph *graph, uint32_t loss, const std::vector<uint32_t> &values,
                        std::vector<uint32_t> *gradients);

}  // namespace onestep
