#include "optimizer_rules.h"

#include <cmath>

namespace onestep {

namespace {

// Writes a formula over one tensor as nodes. A scalar meets a vector without a BROADCAST node: the
// platform repeats it by itself.
class Formula {
 public:
  Formula(Graph *graph, uint32_t index, int64_t elements)
      : graph_(graph), index_(index), elements_(elements) {}

  uint32_t parameter() { return leaf(ONESTEP_OP_STATE, index_ * kStatesOfTensor); }
  uint32_t gradient() { return leaf(ONESTEP_OP_FEED, index_); }
  uint32_t state(uint32_t kind) {
    return leaf(ONESTEP_OP_STATE, index_ * kStatesOfTensor + 1 + kind);
  }
  uint32_t scalar(uint32_t i) {
    uint32_t id = leaf(ONESTEP_OP_SCALAR, i);
    graph_->nodes[id].dims = {};
    return id;
  }
  uint32_t add(uint32_t a, uint32_t b) { return node(ONESTEP_OP_ADD, {a, b}); }
  uint32_t sub(uint32_t a, uint32_t b) { return node(ONESTEP_OP_SUB, {a, b}); }
  uint32_t mul(uint32_t a, uint32_t b) { return node(ONESTEP_OP_MUL, {a, b}); }
  uint32_t div(uint32_t a, uint32_t b) { return node(ONESTEP_OP_DIV, {a, b}); }
  uint32_t max(uint32_t a, uint32_t b) { return node(ONESTEP_OP_MAX, {a, b}); }
  uint32_t sqrt(uint32_t a) { return node(ONESTEP_OP_SQRT, {a}); }
  // keep * average + fresh * value
  uint32_t average(uint32_t average, uint32_t keep, uint32_t value, uint32_t fresh) {
    return add(mul(average, scalar(keep)), mul(value, scalar(fresh)));
  }

 private:
  uint32_t node(onestep_op op, std::vector<uint32_t> inputs) {
    Node node;
    node.op = op;
    node.dims = {elements_};
    node.inputs = std::move(inputs);
    graph_->nodes.push_back(std::move(node));
    return static_cast<uint32_t>(graph_->nodes.size()) - 1;
  }
  uint32_t leaf(onestep_op op, uint32_t index) {
    uint32_t id = node(op, {});
    graph_->nodes[id].ints[0] = index;
    return id;
  }

  Graph *graph_;
  uint32_t index_;
  int64_t elements_;
};

// `gradient + weight_decay * parameter`
uint32_t penalised(Formula *f, uint32_t decay_scalar) {
  return f->add(f->gradient(), f->mul(f->parameter(), f->scalar(decay_scalar)));
}

// Scalars: lr, weight decay, momentum, 1 - dampening. Options: momentum, nesterov.
void append_sgd(const OptimizerRule &rule, Graph *graph, uint32_t index, int64_t elements,
                std::vector<uint32_t> *out) {
  Formula f(graph, index, elements);
  uint32_t direction = penalised(&f, 1);
  std::vector<uint32_t> states;
  if (rule.options[0]) {
    uint32_t buffer = f.average(f.state(0), 2, direction, 3);
    direction = rule.options[1] ? f.add(direction, f.mul(buffer, f.scalar(2))) : buffer;
    states.push_back(buffer);
  }
  out->push_back(f.sub(f.parameter(), f.mul(direction, f.scalar(0))));
  out->insert(out->end(), states.begin(), states.end());
}

// Scalars: lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t), beta1, 1 - beta1, beta2, 1 - beta2, eps, L2
// penalty, 1 - lr * decoupled decay. Options: amsgrad.
void append_adam(const OptimizerRule &rule, Graph *graph, uint32_t index, int64_t elements,
                 std::vector<uint32_t> *out) {
  Formula f(graph, index, elements);
  uint32_t gradient = penalised(&f, 7);
  uint32_t first = f.average(f.state(0), 2, gradient, 3);
  uint32_t second = f.average(f.state(1), 4, f.mul(gradient, gradient), 5);
  uint32_t divisor = rule.options[0] ? f.max(f.state(2), second) : second;
  uint32_t root = f.add(f.mul(f.sqrt(divisor), f.scalar(1)), f.scalar(6));
  uint32_t change = f.mul(f.div(first, root), f.scalar(0));
  out->push_back(f.sub(f.mul(f.parameter(), f.scalar(8)), change));
  out->push_back(first);
  out->push_back(second);
  if (rule.options[0]) out->push_back(divisor);
}

// Scalars: lr, weight decay, alpha, 1 - alpha, eps, momentum, 1. Options: momentum, centered.
void append_rmsprop(const OptimizerRule &rule, Graph *graph, uint32_t index, int64_t elements,
                    std::vector<uint32_t> *out) {
  Formula f(graph, index, elements);
  bool momentum = rule.options[0], centered = rule.options[1];
  uint32_t gradient = penalised(&f, 1);
  uint32_t square = f.average(f.state(0), 2, f.mul(gradient, gradient), 3);
  uint32_t variance = square, mean = 0;
  if (centered) {
    mean = f.average(f.state(momentum ? 2 : 1), 2, gradient, 3);
    variance = f.sub(square, f.mul(mean, mean));
  }
  uint32_t direction = f.div(gradient, f.add(f.sqrt(variance), f.scalar(4)));
  if (momentum) direction = f.average(f.state(1), 5, direction, 6);
  out->push_back(f.sub(f.parameter(), f.mul(direction, f.scalar(0))));
  out->push_back(square);
  if (momentum) out->push_back(direction);
  if (centered) out->push_back(mean);
}

float f32(double value) { return static_cast<float>(value); }

}  // namespace

// At the first step the momentum buffer, still 0, becomes the direction itself: dampening begins with
// the second.
OptimizerRule sgd_rule(const onestep_sgd_args &args) {
  OptimizerRule rule;
  rule.name = "sgd";
  bool momentum = args.momentum != 0, first = args.call.step <= 1;
  rule.options = {momentum, args.nesterov != 0};
  rule.states = momentum ? 1 : 0;
  rule.scalars = {f32(args.call.lr), f32(args.call.weight_decay), f32(args.momentum),
                  f32(first ? 1 : 1 - args.dampening)};
  rule.append = append_sgd;
  return rule;
}

OptimizerRule adam_rule(const onestep_adam_args &args) {
  OptimizerRule rule;
  rule.name = "adam";
  bool decoupled = args.decoupled_weight_decay != 0;
  // In f64: at step 1000 the correction of beta2 = 0.999 has lost digits in f32.
  double step = static_cast<double>(args.call.step), decay = args.call.weight_decay;
  double first = 1 - std::pow(args.beta1, step), second = 1 - std::pow(args.beta2, step);
  rule.options = {args.amsgrad != 0};
  rule.states = args.amsgrad ? 3 : 2;
  rule.scalars = {f32(args.call.lr / first),
                  f32(1 / std::sqrt(second)),
                  f32(args.beta1),
                  f32(1 - args.beta1),
                  f32(args.beta2),
                  f32(1 - args.beta2),
                  f32(args.eps),
                  f32(decoupled ? 0 : decay),
                  f32(decoupled ? 1 - args.call.lr * decay : 1)};
  rule.append = append_adam;
  return rule;
}

OptimizerRule rmsprop_rule(const onestep_rmsprop_args &args) {
  OptimizerRule rule;
  rule.name = "rmsprop";
  bool momentum = args.momentum != 0, centered = args.centered != 0;
  rule.options = {momentum, centered};
  rule.states = 1 + (momentum ? 1 : 0) + (centered ? 1 : 0);
  rule.scalars = {f32(args.call.lr), f32(args.call.weight_decay), f32(args.alpha),
                  f32(1 - args.alpha), f32(args.eps), f32(args.momentum), 1};
  rule.append = append_rmsprop;
  return rule;
}

}  // namespace onestep
