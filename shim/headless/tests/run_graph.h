// Builds a graph, runs it once and gives the results as floats.
#pragma once
#include "check.h"

#include <initializer_list>

MPSShape *shape_of(std::initializer_list<long> sizes);
MPSShape *shape_of(const std::vector<long> &sizes);

struct Values {
  std::vector<long> shape;
  std::vector<float> numbers;
  MPSDataType dtype = MPSDataTypeFloat32;
};

// Elements of any type as floats, and back.
std::vector<float> read_elements(const void *bytes, MPSDataType dtype, size_t count);
std::vector<unsigned char> to_bytes(const Values &values);

class Case {
 public:
  Case();
  ~Case();
  Case(const Case &) = delete;
  MPSGraph *graph() const { return graph_; }
  MPSGraphTensor *input(const Values &values);
  MPSGraphTensor *input(std::initializer_list<long> shape, std::vector<float> numbers);
  MPSGraphTensor *integers(std::initializer_list<long> shape, std::vector<float> numbers);

  std::vector<float> run(MPSGraphTensor *target);
  std::vector<std::vector<float>> run_all(NSArray<MPSGraphTensor *> *targets);

 private:
  id<MTLDevice> device_;
  id<MTLCommandQueue> queue_;
  MPSGraph *graph_;
  std::vector<MPSGraphTensor *> inputs_;
  std::vector<Values> values_;
};
