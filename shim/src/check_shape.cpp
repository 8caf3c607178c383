// The rules of elementwise ops, reductions and movement.

#include <algorithm>

#include "check.h"

namespace onestep {

Status check_elementwise(const NodeCheck &check) {
  const Node &node = check.node;
  if (node.op == ONESTEP_OP_CAST) {
    return node.dims == check.in(0).dims ? ok() : check.has_dims(check.in(0).dims);
  }
  ONESTEP_TRY(check.is_f32(node));
  for (size_t i = 0; i < node.inputs.size(); i++) ONESTEP_TRY(check.same_type(node, check.in(i)));
  return ok();
}

Status check_reduction(const NodeCheck &check) {
  const Node &node = check.node, &x = check.in(0);
  auto rank = static_cast<int64_t>(x.dims.size());
  ONESTEP_TRY(check.is_f32(x));
  Dims dims = x.dims;
  if (node.op == ONESTEP_OP_ARGMAX) {
    if (node.dtype != ONESTEP_I32) return check.site.mismatch("i32", node);
    ONESTEP_TRY(check.ints_within(0, 1, 0, rank - 1));
    dims.erase(dims.begin() + node.ints[0]);
    return check.has_dims(dims);
  }
  ONESTEP_TRY(check.is_f32(node));
  ONESTEP_TRY(check.ints_within(0, 1, 0, rank));
  auto count = static_cast<size_t>(node.ints[0]);
  ONESTEP_TRY(check.ints_within(1, count, 0, rank - 1));
  for (size_t i = 0; i < count; i++) {
    if (i && node.ints[1 + i] <= node.ints[i]) return check.site.bad("its axes do not ascend");
    dims[static_cast<size_t>(node.ints[1 + i])] = 1;
  }
  return check.has_dims(dims);
}

namespace {

Status check_permute(const NodeCheck &check) {
  const Dims &from = check.in(0).dims;
  auto rank = static_cast<int64_t>(from.size());
  ONESTEP_TRY(check.ints_within(0, from.size(), 0, rank - 1));
  std::vector<bool> seen(from.size());
  Dims dims;
  for (size_t i = 0; i < from.size(); i++) {
    auto axis = static_cast<size_t>(check.node.ints[i]);
    if (seen[axis]) return check.site.bad("axis %zu stands twice", axis);
    seen[axis] = true;
    dims.push_back(from[axis]);
  }
  return check.has_dims(dims);
}

Status check_broadcast(const NodeCheck &check) {
  const Dims &from = check.in(0).dims, &to = check.node.dims;
  bool fits = from.size() <= to.size();
  for (size_t i = 0; fits && i < from.size(); i++) {
    int64_t f = from[from.size() - 1 - i], t = to[to.size() - 1 - i];
    fits = f == t || f == 1;
  }
  return fits ? ok() : check.site.mismatch("an operand that broadcasts to it", check.in(0));
}

Status check_slice(const NodeCheck &check) {
  Dims dims;
  for (size_t axis = 0; axis < check.in(0).dims.size(); axis++) {
    int64_t start = check.node.ints[axis], end = check.node.ints[axis + ONESTEP_MAX_RANK];
    if (start < 0 || end <= start || end > check.in(0).dims[axis]) {
      return check.site.bad("axis %zu: %lld to %lld of %s", axis, static_cast<long long>(start),
                            static_cast<long long>(end), type_text(check.in(0)).c_str());
    }
    dims.push_back(end - start);
  }
  return check.has_dims(dims);
}

Status check_concat(const NodeCheck &check) {
  Dims dims = check.in(0).dims;
  ONESTEP_TRY(check.ints_within(0, 1, 0, static_cast<int64_t>(dims.size()) - 1));
  auto axis = static_cast<size_t>(check.node.ints[0]);
  int64_t total = 0;
  for (size_t i = 0; i < check.node.inputs.size(); i++) {
    Dims other = check.in(i).dims;
    bool fits = check.in(i).dtype == check.node.dtype && other.size() == dims.size();
    if (fits) {
      total += other[axis];
      other[axis] = dims[axis];
    }
    if (!fits || other != dims) {
      return check.site.mismatch("operands that differ only along the axis", check.in(i));
    }
  }
  dims[axis] = total;
  return check.has_dims(dims);
}

Status check_pad(const NodeCheck &check) {
  ONESTEP_TRY(check.is_f32(check.in(0)));
  Dims dims = check.in(0).dims;
  constexpr int64_t kMost = 1ll << 31;
  ONESTEP_TRY(check.ints_within(0, dims.size(), 0, kMost));
  ONESTEP_TRY(check.ints_within(ONESTEP_MAX_RANK, dims.size(), 0, kMost));
  for (size_t axis = 0; axis < dims.size(); axis++) {
    dims[axis] += check.node.ints[axis] + check.node.ints[axis + ONESTEP_MAX_RANK];
  }
  return check.has_dims(dims);
}

// `indices` then a row of the table.
Dims gathered(const Dims &indices, const Dims &table) {
  Dims dims = indices;
  dims.insert(dims.end(), table.begin() + 1, table.end());
  return dims;
}

Status check_gather(const NodeCheck &check) {
  bool scatter = check.node.op == ONESTEP_OP_SCATTER_ADD;
  const Node &table = scatter ? check.node : check.in(0);
  const Node &indices = check.in(scatter ? 0 : 1);
  const Node &rows = scatter ? check.in(1) : check.node;
  if (indices.dtype != ONESTEP_I32) return check.site.mismatch("i32 indices", indices);
  ONESTEP_TRY(check.is_f32(table));
  ONESTEP_TRY(check.is_f32(rows));
  if (table.dims.empty()) return check.site.mismatch("a table of rank 1 or more", table);
  if (rows.dims == gathered(indices.dims, table.dims)) return ok();
  return check.site.mismatch("the indices' shape and then a row's", rows);
}

}  // namespace

Status check_movement(const NodeCheck &check) {
  const Node &node = check.node;
  bool indexed = node.op == ONESTEP_OP_GATHER || node.op == ONESTEP_OP_SCATTER_ADD;
  if (!indexed && node.dtype != check.in(0).dtype) {
    return check.site.mismatch(dtype_name(check.in(0).dtype), node);
  }
  switch (node.op) {
    case ONESTEP_OP_RESHAPE:
      if (elements(node.dims) == elements(check.in(0).dims)) return ok();
      return check.site.mismatch("an operand of as many elements", check.in(0));
    case ONESTEP_OP_PERMUTE: return check_permute(check);
    case ONESTEP_OP_BROADCAST: return check_broadcast(check);
    case ONESTEP_OP_SLICE: return check_slice(check);
    case ONESTEP_OP_CONCAT: return check_concat(check);
    case ONESTEP_OP_PAD: return check_pad(check);
    default: return check_gather(check);
  }
}

}  // namespace onestep
