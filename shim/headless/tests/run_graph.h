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
  // Replaces one number of an input.
  void set(size_t input, size_t at, float value) { values_[input].numbers[at] = value; }
  const Values &value(size_t input) const { return values_[input]; }
  MPSGraphTensor *tensor(size_t input) const { return inputs_[input]; }

  std::vector<float> run(MPSGraphTensor *target);
  std::vector<std::vector<float>> run_all(NSArray<MPSGraphTensor *> *targets);

  // Compares the gradients of sum(weights * y), weights fixed and different, with central
  // differences in every number of the f32 inputs.
  void check_gradients(const char *file, int line, MPSGraphTensor *y, double tolerance = 2e-2);

 private:
  id<MTLDevice> device_;
  id<MTLCommandQueue> queue_;
  MPSGraph *graph_;
  std::vector<MPSGraphTensor *> inputs_;
  std::vector<Values> values_;
};

#define CHECK_GRADIENTS(test_case, ...) (test_case).check_gradients(__FILE__, __LINE__, __VA_ARGS__)
