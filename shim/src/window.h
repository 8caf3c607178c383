// How kernels and pooling windows move over a picture. A pair is vertical, horizontal.
#pragma once

#include "graph.h"

namespace onestep {

// Keeps the arithmetic of windows far from overflow.
constexpr int64_t kMostStride = 1 << 20;

struct Window {
  int64_t size[2], stride[2], low[2], high[2], dilation[2];
  int64_t groups = 1;

  // The output size of one axis; 0 where the window does not fit.
  int64_t output(int axis, int64_t input) const {
    int64_t room = input + low[axis] + high[axis] - dilation[axis] * (size[axis] - 1) - 1;
    return room < 0 ? 0 : room / stride[axis] + 1;
  }
};

// The window of CONV and its gradients; `weight` is [o, c, kh, kw].
inline Window convolution_window(const Node &node, const Dims &weight) {
  const int64_t *i = node.ints;
  return {{weight[2], weight[3]}, {i[0], i[1]}, {i[2], i[3]}, {i[4], i[5]}, {i[6], i[7]}, i[8]};
}

// The window of pooling ops.
inline Window pooling_window(const Node &node) {
  const int64_t *i = node.ints;
  return {{i[0], i[1]}, {i[2], i[3]}, {i[4], i[5]}, {i[6], i[7]}, {i[8], i[9]}, 1};
}

}  // namespace onestep
