// Reverse-mode differentiation: the gradients are more nodes of the same graph.
#include "ops.h"

#include "runtime.h"

namespace headless {
namespace {

// Which nodes depend on one of the tensors.
std::vector<bool> dependents(const Graph &graph, const Nodes &tensors) {
  std::vector<bool> depends(graph.nodes.size(), false);
  for (Node *tensor : tensors) depends[tensor->index] = true;
  for (const auto &node : graph.nodes) {
    for (Node *input : node->inputs) {
      if (depends[input->index]) depends[node->index] = true;
    }
  }
  return depends;
}

// Adds each input's part to what has come from its other users.
void spread(Node *node, Node *gradient, const std::vector<bool> &depends, Nodes &sums) {
  if (!node->rule.gradients) return;
  const Nodes parts = node->rule.gradients(node, gradient);
  for (size_t i = 0; i < parts.size(); ++i) {
    Node *input = node->inputs[i];
    if (!parts[i] || !depends[input->index]) continue;
    if (parts[i]->type.shape != input->type.shape) {
      fail_op(node->rule.name,
              "has a gradient of " + text(parts[i]->type) + " for " + text(input->type));
    }
    Node *&sum = sums[input->index];
    sum = sum ? add(sum, parts[i]) : parts[i];
  }
}

Nodes differentiate(Node *primary, const Nodes &tensors) {
  Graph &graph = *primary->graph;
  if (!is_float(primary->type.dtype)) fail_op("gradient", "of " + text(primary->type));
  const std::vector<bool> depends = dependents(graph, tensors);
  Nodes sums(graph.nodes.size(), nullptr);
  sums[primary->index] = broadcast(scalar_like(primary, 1), primary->type.shape);
  for (size_t i = primary->index + 1; i-- > 0;) {
    Node *node = graph.nodes[i].get();
    if (sums[i] && depends[i]) spread(node, sums[i], depends, sums);
  }
  Nodes gradients;
  for (Node *tensor : tensors) gradients.push_back(sums[tensor->index]);
  return gradients;
}

}  // namespace
}  // namespace headless

using namespace headless;

@implementation MPSGraph (MPSGraphAutomaticDifferentiation)
// A tensor that the primary tensor does not depend on has no entry in the result.
- (NSDictionary<MPSGraphTensor *, MPSGraphTensor *> *)
    gradientForPrimaryTensor:(MPSGraphTensor *)primaryTensor
                 withTensors:(NSArray<MPSGraphTensor *> *)tensors
                        name:(NSString *)name {
  Nodes nodes;
  for (MPSGraphTensor *tensor in tensors) nodes.push_back(node_of(tensor));
  const Nodes gradients = differentiate(node_of(primaryTensor), nodes);
  NSMutableDictionary *result = [NSMutableDictionary dictionary];
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (gradients[i]) [result setObject:tensor_of(gradients[i]) forKey:tensor_of(nodes[i])];
  }
  return result;
}
@end
