// Operations that move elements without computing: all are strided copies.
#include "ops.h"

#include "runtime.h"
#include <algorithm>

namespace headless {

Node *reshape(Node *x, Shape shape) {
  int64_t known = 1;
  int64_t *unknown = nullptr;
  for (int64_t &size : shape) {
    if (size < 0) {
      if (unknown) fail_op("reshape", "more than one unknown size in " + text(shape));
      unknown = &size;
    } else {
      known *= size;
    }
  }
  const int64_t count = elements(x->type.shape);
  if (unknown) *unknown = known == 0 ? 0 : count / known;
  if (elements(shape) != count) {
    fail_op("reshape", "the result shape " + text(shape) +
                           " is not compatible with the input shape " + text(x->type.shape));
  }
  auto evaluate = [](const Arrays &in, Array &out) {
    memcpy(out.memory.get(), in[0].memory.get(), out.bytes());
  };
  return x->graph->add({"reshape", evaluate}, {x}, {std::move(shape), x->type.dtype});
}

Node *transpose(Node *x, const std::vector<size_t> &permutation) {
  const size_t rank = x->type.shape.size();
  std::vector<bool> taken(rank, false);
  if (permutation.size() != rank)
    fail_op("transpose", "a permutation of " + std::to_string(permutation.size()) + " axes for " +
                             text(x->type));
  Shape shape(rank), strides(rank);
  const Shape own = strides_of(x->type.shape);
  for (size_t i = 0; i < rank; ++i) {
    const size_t axis = permutation[i];
    if (axis >= rank || taken[axis])
      fail_op("transpose", "not a permutation of the axes of " + text(x->type));
    taken[axis] = true;
    shape[i] = x->type.shape[axis];
    strides[i] = own[axis];
  }
  auto evaluate = [strides](const Arrays &in, Array &out) { copy_strided(in[0], 0, strides, out); };
  return x->graph->add({"transpose", evaluate}, {x}, {shape, x->type.dtype});
}

Node *broadcast(Node *x, const Shape &shape) {
  const Shape &from = x->type.shape;
  bool fits = from.size() <= shape.size();
  for (size_t i = 0; fits && i < from.size(); ++i) {
    const int64_t to = shape[shape.size() - from.size() + i];
    fits = from[i] == to || from[i] == 1;
  }
  if (!fits) fail_op("broadcast_to", text(from) + " cannot be broadcast to " + text(shape));
  auto evaluate = [](const Arrays &in, Array &out) {
    copy_strided(in[0], 0, broadcast_strides(in[0].type.shape, out.type.shape), out);
  };
  return x->graph->add({"broadcast_to", evaluate}, {x}, {shape, x->type.dtype});
}

Node *slice(Node *x, Shape starts, Shape ends, Shape strides) {
  const Shape &from = x->type.shape;
  if (starts.size() != from.size() || ends.size() != from.size() || strides.size() != from.size()) {
    fail_op("strided_slice",
            "starts, ends and strides must have a number for each axis of " + text(x->type));
  }
  Shape shape(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    if (starts[i] < 0) starts[i] += from[i];
    if (ends[i] < 0) ends[i] += from[i];
    if (strides[i] < 1 || starts[i] < 0 || ends[i] > from[i] || starts[i] > ends[i]) {
      fail_op("strided_slice",
              text(starts) + " to " + text(ends) + " by " + text(strides) + " of " + text(x->type));
    }
    shape[i] = (ends[i] - starts[i] + strides[i] - 1) / strides[i];
  }
  auto evaluate = [starts, strides](const Arrays &in, Array &out) {
    Shape steps = strides_of(in[0].type.shape);
    int64_t offset = 0;
    for (size_t axis = 0; axis < steps.size(); ++axis) {
      offset += steps[axis] * starts[axis];
      steps[axis] *= strides[axis];
    }
    copy_strided(in[0], offset, steps, out);
  };
  return x->graph->add({"strided_slice", evaluate}, {x}, {shape, x->type.dtype});
}

namespace {

// The product of the sizes before and from an axis on.
int64_t outer_size(const Shape &shape, size_t axis) {
  return elements(Shape(shape.begin(), shape.begin() + (long)axis));
}
int64_t inner_size(const Shape &shape, size_t axis) {
  return elements(Shape(shape.begin() + (long)axis, shape.end()));
}

void evaluate_concat(size_t axis, const Arrays &in, Array &out) {
  const size_t size = size_of(out.type.dtype);
  const size_t row = (size_t)inner_size(out.type.shape, axis) * size;
  size_t offset = 0;
  for (const Array &part : in) {
    const size_t width = (size_t)inner_size(part.type.shape, axis) * size;
    for (int64_t o = 0; o < outer_size(out.type.shape, axis); ++o) {
      memcpy(out.memory.get() + (size_t)o * row + offset, part.memory.get() + (size_t)o * width,
             width);
    }
    offset += width;
  }
}

}  // namespace

Node *concat(const Nodes &nodes, size_t axis) {
  require_same_dtype("concat", nodes);
  Shape shape = nodes[0]->type.shape;
  shape[axis] = 0;
  for (Node *node : nodes) {
    Shape other = node->type.shape;
    if (other.size() != shape.size())
      fail_op("concat", "ranks differ: " + text(nodes[0]->type) + " and " + text(node->type));
    const int64_t size = other[axis];
    other[axis] = shape[axis];
    if (other != shape)
      fail_op("concat", "shapes differ: " + text(nodes[0]->type) + " and " + text(node->type));
    shape[axis] += size;
  }
  auto evaluate = [axis](const Arrays &in, Array &out) { evaluate_concat(axis, in, out); };
  return nodes[0]->graph->add({"concat", evaluate}, nodes,
                              {shape, nodes[0]->type.dtype});
}

Node *pad(Node *x, Shape left, Shape right, double value) {
  const Shape &from = x->type.shape;
  if (left.size() != from.size() || right.size() != from.size())
    fail_op("pad", "paddings must have a number for each axis of " + text(x->type));
  Shape shape = from;
  for (size_t i = 0; i < from.size(); ++i) {
    if (left[i] < 0 || right[i] < 0) fail_op("pad", "negative padding");
    shape[i] += left[i] + right[i];
  }
  auto evaluate = [left, value](const Arrays &in, Array &out) {
    visit(out.type.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      std::fill(out.data<T>(), out.data<T>() + out.count(), T((Compute<T>)value));
      const Shape own = strides_of(out.type.shape);
      int64_t offset = 0;
      for (size_t axis = 0; axis < own.size(); ++axis) offset += own[axis] * left[axis];
      const int64_t length = in[0].type.shape.empty() ? 1 : in[0].type.shape.back();
      for_each_row(in[0].type.shape, {own}, [&](int64_t row, const int64_t *offsets) {
        memcpy(out.data<T>() + offset + offsets[0], in[0].data<T>() + row,
               (size_t)length * sizeof(T));
      });
    });
  };
  return x->graph->add({"pad", evaluate}, {x}, {shape, x->type.dtype});
}

Node *coordinate(Graph *graph, size_t axis, const Shape &shape) {
  auto evaluate = [axis](const Arrays &, Array &out) {
    const int64_t step = strides_of(out.type.shape)[axis], size = out.type.shape[axis];
    for (int64_t i = 0; i < out.count(); ++i) out.data<int32_t>()[i] = (int32_t)(i / step % size);
  };
  return graph->add({"get_coord", evaluate}, {}, {shape, MPSDataTypeInt32});
}

}  // namespace headless
