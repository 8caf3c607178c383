// What an MPSGraph holds: executables share the graph, so it outlives the MPSGraph.
#pragma once
#include "graph.h"

struct HeadlessSharedGraph {
  std::shared_ptr<HeadlessGraph> graph;
};
