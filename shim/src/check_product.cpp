// The rules of matrix products, convolutions, pooling and rows.

#include "check.h"
#include "window.h"

namespace onestep {

Status check_matmul(const NodeCheck &check) {
  const Node &a = check.in(0), &b = check.in(1);
  ONESTEP_TRY(check.is_f32(check.node));
  ONESTEP_TRY(check.is_f32(a));
  ONESTEP_TRY(check.is_f32(b));
  size_t rank = a.dims.size();
  if (rank < 2) return check.site.mismatch("rank 2 or more", a);
  ONESTEP_TRY(check.has_rank(b, rank));
  bool ta = check.node.ints[0] != 0, tb = check.node.ints[1] != 0;
  int64_t inner_a = a.dims[rank - (ta ? 2 : 1)], inner_b = b.dims[rank - (tb ? 1 : 2)];
  Dims dims = a.dims, batch_b = b.dims;
  dims[rank - 2] = a.dims[rank - (ta ? 1 : 2)];
  dims[rank - 1] = b.dims[rank - (tb ? 2 : 1)];
  batch_b[rank - 2] = dims[rank - 2];
  batch_b[rank - 1] = dims[rank - 1];
  if (inner_a != inner_b || batch_b != dims) {
    return check.site.mismatch("a right operand that fits the left one", b);
  }
  return check.has_dims(dims);
}

Status check_convolution(const NodeCheck &check) {
  ONESTEP_TRY(check.ints_within(0, 2, 1, kMostStride));
  ONESTEP_TRY(check.ints_within(2, 4, 0, kMostStride));
  ONESTEP_TRY(check.ints_within(6, 3, 1, kMostStride));
  // Which of the three tensors of a convolution stands where.
  bool dx = check.node.op == ONESTEP_OP_CONV_INPUT_GRAD;
  bool dw = check.node.op == ONESTEP_OP_CONV_WEIGHT_GRAD;
  const Node &x = dx ? check.node : check.in(0);
  const Node &w = dw ? check.node : check.in(1);
  const Node &y = dx ? check.in(0) : dw ? check.in(1) : check.node;
  for (const Node *tensor : {&x, &w, &y}) {
    ONESTEP_TRY(check.is_f32(*tensor));
    ONESTEP_TRY(check.has_rank(*tensor, 4));
  }
  int64_t groups = check.node.ints[8];
  if (x.dims[1] != w.dims[1] * groups || w.dims[0] % groups) {
    return check.site.bad("%lld groups do not fit %s and the weight %s",
                          static_cast<long long>(groups), type_text(x).c_str(),
                          type_text(w).c_str());
  }
  // Batches of 65536 and more have given wrong gradients of weights.
  constexpr int64_t kMostPictures = 65535;
  if (dw && x.dims[0] > kMostPictures) {
    return check.site.bad("a gradient over %lld pictures, at most %lld; use smaller batches",
                          static_cast<long long>(x.dims[0]), static_cast<long long>(kMostPictures));
  }
  Window window = convolution_window(check.node, w.dims);
  Dims dims = {x.dims[0], w.dims[0], window.output(0, x.dims[2]), window.output(1, x.dims[3])};
  if (y.dims == dims) return ok();
  return check.site.mismatch("the output of its window", y);
}

Status check_pooling(const NodeCheck &check) {
  ONESTEP_TRY(check.ints_within(0, 4, 1, kMostStride));
  ONESTEP_TRY(check.ints_within(4, 4, 0, kMostStride));
  ONESTEP_TRY(check.ints_within(8, 2, 1, kMostStride));
  bool of_x = check.node.op == ONESTEP_OP_MAX_POOL || check.node.op == ONESTEP_OP_SUM_POOL;
  bool sum_grad = check.node.op == ONESTEP_OP_SUM_POOL_GRAD;
  const Node &x = sum_grad ? check.node : check.in(0);
  const Node &y = of_x ? check.node : check.in(sum_grad ? 0 : 1);
  for (const Node *tensor : {&x, &y, &check.node}) {
    ONESTEP_TRY(check.is_f32(*tensor));
    ONESTEP_TRY(check.has_rank(*tensor, 4));
  }
  Window window = pooling_window(check.node);
  Dims dims = {x.dims[0], x.dims[1], window.output(0, x.dims[2]), window.output(1, x.dims[3])};
  if (y.dims != dims) return check.site.mismatch("the output of its window", y);
  return of_x ? ok() : check.has_dims(x.dims);
}

Status check_rows(const NodeCheck &check) {
  const Node &x = check.in(0);
  ONESTEP_TRY(check.is_f32(check.node));
  ONESTEP_TRY(check.is_f32(x));
  if (x.dims.empty()) return check.site.mismatch("rank 1 or more", x);
  if (check.node.op == ONESTEP_OP_SOFTMAX || check.node.op == ONESTEP_OP_LOG_SOFTMAX) {
    return check.has_dims(x.dims);
  }
  ONESTEP_TRY(check.has_rank(x, 2));
  const Node &labels = check.in(1);
  if (labels.dtype != ONESTEP_I32 || labels.dims != Dims{x.dims[0]}) {
    return check.site.mismatch("one i32 label a row", labels);
  }
  double smoothing = check.node.floats[0];
  if (!(smoothing >= 0 && smoothing <= 1)) {
    return check.site.bad("wanted a label smoothing of 0 to 1, got %g", smoothing);
  }
  if (check.node.op == ONESTEP_OP_CROSS_ENTROPY) return check.has_dims(labels.dims);
  const Node &dy = check.in(2);
  ONESTEP_TRY(check.is_f32(dy));
  if (dy.dims != labels.dims) return check.site.mismatch("one number a row", dy);
  return check.has_dims(x.dims);
}

}  // namespace onestep
