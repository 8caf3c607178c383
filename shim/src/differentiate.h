// onestep_graph_differentiate.
#pragma once

#include "graph.h"
#include "ref.h"

// The nodes of a backward pass, which point into the graph beside them.
struct onestep_derivative : onestep::Counted {
  onestep::Graph graph;
  std::vector<onestep_node> nodes;
};

namespace onestep {

Status differentiate(const onestep_differentiate_args &args, Handle<onestep_derivative> *out);

}  // namespace onestep
