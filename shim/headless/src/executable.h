// Compiled graphs and their execution.
#pragma once
#include "graph.h"
#include "ndarray.h"

struct HeadlessExecutable {
  std::shared_ptr<HeadlessGraph> graph;
  headless::Nodes feeds, targets;
  headless::Nodes order;         // what has to be computed, operands first
  std::vector<size_t> last_use;  // position in `order` after which a node's value is dropped
};

namespace headless {

MPSGraphExecutable *compile(MPSGraph *graph, MPSGraphTensorShapedTypeDictionary *feeds,
                            NSArray<MPSGraphTensor *> *targets);

// What an encoded executable reads and writes.
struct Binding {
  std::vector<HeadlessNDArray> inputs, results;
};

void execute(const HeadlessExecutable &executable, const Binding &binding);

}  // namespace headless
