// The graph behind MPSGraph: values in SSA form with static types. An operation is a name and a
// function that computes its value.
#pragma once
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>
#include "array.h"
#include <functional>
#include <memory>

struct HeadlessGraph;
struct HeadlessNode;

namespace headless {

using Graph = HeadlessGraph;
using Node = HeadlessNode;
using Nodes = std::vector<Node *>;
using Arrays = std::vector<Array>;

struct Rule {
  const char *name;  // as MPSGraph's compiler prints it
  // Writes all of `result`.
  std::function<void(const Arrays &inputs, Array &result)> evaluate;
};

}  // namespace headless

struct HeadlessNode {
  headless::Graph *graph;
  size_t index;
  headless::Rule rule;
  headless::Nodes inputs;
  headless::Type type;
  headless::Array constant;  // memory is null unless it is a constant
  bool is_placeholder = false;
  MPSGraphTensor *tensor;        // owned
  MPSGraphOperation *operation;  // owned
};

struct HeadlessGraph {
  std::vector<std::unique_ptr<HeadlessNode>> nodes;

  HeadlessGraph() = default;
  HeadlessGraph(const HeadlessGraph &) = delete;
  ~HeadlessGraph();
  headless::Node *add(headless::Rule rule, headless::Nodes inputs, headless::Type type);
};

namespace headless {

// The node behind a tensor; fails on nil and on a tensor whose graph is gone.
Node *node_of(MPSGraphTensor *tensor);
inline MPSGraphTensor *tensor_of(Node *node) { return node->tensor; }
Graph *graph_of(MPSGraph *graph);
std::shared_ptr<Graph> shared_graph_of(MPSGraph *graph);

// Axis numbers count from the end where negative.
size_t axis_of(int64_t axis, size_t rank, const char *op);

// Aborts unless all operands have the same element type.
void require_same_dtype(const char *op, const Nodes &nodes);
[[noreturn]] void fail_op(const char *op, const std::string &message);

}  // namespace headless
