// Elementwise functions of two operands, comparisons and choice.
#include "broadcast.h"

#include "runtime.h"
#include <cmath>

namespace headless {

Shape broadcast_shape(const char *op, const Shape &a, const Shape &b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape result(rank);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t x = i < rank - a.size() ? 1 : a[i - (rank - a.size())];
    const int64_t y = i < rank - b.size() ? 1 : b[i - (rank - b.size())];
    if (x != y && x != 1 && y != 1) {
      fail_op(op,
              "operands don't have broadcast compatible shapes: " + text(a) + " and " + text(b));
    }
    result[i] = x == 1 ? y : x;
  }
  return result;
}

namespace {

const char *name_of(Binary op) {
  switch (op) {
    case Binary::Add: return "add";
    case Binary::Subtract: return "subtract";
    case Binary::Multiply: return "multiply";
    case Binary::Divide: return "divide";
    case Binary::Power: return "power";
    case Binary::Minimum: return "minimum";
    case Binary::Maximum: return "maximum";
    case Binary::MinimumNaN: return "nan_minimum";
    case Binary::MaximumNaN: return "nan_maximum";
  }
}

const char *name_of(Compare op) {
  switch (op) {
    case Compare::Equal: return "equal";
    case Compare::NotEqual: return "not_equal";
    case Compare::Less: return "less";
    case Compare::LessOrEqual: return "less_equal";
    case Compare::Greater: return "greater";
    case Compare::GreaterOrEqual: return "greater_equal";
  }
}

int64_t integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  int64_t result = 1;
  for (int64_t i = 0; i < exponent; ++i) result = (int64_t)((uint64_t)result * (uint64_t)base);
  return result;
}

template <class T>
void evaluate_integer(Binary op, const Array &a, const Array &b, Array &out) {
  switch (op) {
    // Overflow wraps, as on a device.
    case Binary::Add:
      return map2<T, T>(a, b, out, [](uint64_t x, uint64_t y) { return (int64_t)(x + y); });
    case Binary::Subtract:
      return map2<T, T>(a, b, out, [](uint64_t x, uint64_t y) { return (int64_t)(x - y); });
    case Binary::Multiply:
      return map2<T, T>(a, b, out, [](uint64_t x, uint64_t y) { return (int64_t)(x * y); });
    case Binary::Divide:
      return map2<T, T>(a, b, out, [](int64_t x, int64_t y) { return y == 0 ? 0 : x / y; });
    case Binary::Power: return map2<T, T>(a, b, out, integer_power);
    case Binary::Minimum:
    case Binary::MinimumNaN:
      return map2<T, T>(a, b, out, [](int64_t x, int64_t y) { return x < y ? x : y; });
    case Binary::Maximum:
    case Binary::MaximumNaN:
      return map2<T, T>(a, b, out, [](int64_t x, int64_t y) { return x > y ? x : y; });
  }
}

template <class T>
void evaluate_float(Binary op, const Array &a, const Array &b, Array &out) {
  switch (op) {
    case Binary::Add: return map2<T, T>(a, b, out, [](float x, float y) { return x + y; });
    case Binary::Subtract: return map2<T, T>(a, b, out, [](float x, float y) { return x - y; });
    case Binary::Multiply: return map2<T, T>(a, b, out, [](float x, float y) { return x * y; });
    case Binary::Divide: return map2<T, T>(a, b, out, [](float x, float y) { return x / y; });
    case Binary::Power:
      return map2<T, T>(a, b, out, [](float x, float y) { return std::pow(x, y); });
    // Without "NaN" in the name a NaN loses against a number.
    case Binary::Minimum:
      return map2<T, T>(a, b, out, [](float x, float y) { return std::fmin(x, y); });
    case Binary::Maximum:
      return map2<T, T>(a, b, out, [](float x, float y) { return std::fmax(x, y); });
    case Binary::MinimumNaN:
      return map2<T, T>(a, b, out, [](float x, float y) { return x < y || std::isnan(x) ? x : y; });
    case Binary::MaximumNaN:
      return map2<T, T>(a, b, out, [](float x, float y) { return x > y || std::isnan(x) ? x : y; });
  }
}

template <class T>
void evaluate_compare(Compare op, const Array &a, const Array &b, Array &out) {
  using C = Compute<T>;
  switch (op) {
    case Compare::Equal:
      return map2<T, Boolean>(a, b, out, [](C x, C y) { return (int64_t)(x == y); });
    case Compare::NotEqual:
      return map2<T, Boolean>(a, b, out, [](C x, C y) { return (int64_t)(x != y); });
    case Compare::Less:
      return map2<T, Boolean>(a, b, out, [](C x, C y) { return (int64_t)(x < y); });
    case Compare::LessOrEqual:
      return map2<T, Boolean>(a, b, out, [](C x, C y) { return (int64_t)(x <= y); });
    case Compare::Greater:
      return map2<T, Boolean>(a, b, out, [](C x, C y) { return (int64_t)(x > y); });
    case Compare::GreaterOrEqual:
      return map2<T, Boolean>(a, b, out, [](C x, C y) { return (int64_t)(x >= y); });
  }
}

template <class Word>
void choose(const Arrays &in, Array &out) {
  const Shape &shape = out.type.shape;
  const Shape sp = broadcast_strides(in[0].type.shape, shape),
              sa = broadcast_strides(in[1].type.shape, shape),
              sb = broadcast_strides(in[2].type.shape, shape);
  const int64_t length = shape.empty() ? 1 : shape.back();
  const bool scalar = shape.empty();
  const int64_t step_p = scalar ? 0 : sp.back(), step_a = scalar ? 0 : sa.back(),
                step_b = scalar ? 0 : sb.back();
  for_each_row(shape, {sp, sa, sb}, [&](int64_t row, const int64_t *offsets) {
    const uint8_t *p = in[0].data<uint8_t>() + offsets[0];
    const Word *a = in[1].data<Word>() + offsets[1], *b = in[2].data<Word>() + offsets[2];
    for (int64_t i = 0; i < length; ++i) {
      out.data<Word>()[row + i] = p[i * step_p] ? a[i * step_a] : b[i * step_b];
    }
  });
}

void evaluate_select(const Arrays &in, Array &out) {
  switch (size_of(out.type.dtype)) {
    case 1: return choose<uint8_t>(in, out);
    case 2: return choose<uint16_t>(in, out);
    case 4: return choose<uint32_t>(in, out);
    default: return choose<uint64_t>(in, out);
  }
}

}  // namespace

Node *binary(Binary op, Node *a, Node *b) {
  require_same_dtype(name_of(op), {a, b});
  if (a->type.dtype == MPSDataTypeBool) fail_op(name_of(op), "is not defined for " + text(a->type));
  const Shape shape = broadcast_shape(name_of(op), a->type.shape, b->type.shape);
  auto evaluate = [op](const Arrays &in, Array &out) {
    visit(out.type.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_same_v<Compute<T>, float>)
        evaluate_float<T>(op, in[0], in[1], out);
      else
        evaluate_integer<T>(op, in[0], in[1], out);
    });
  };
  return a->graph->add({name_of(op), evaluate}, {a, b}, {shape, a->type.dtype});
}

Node *compare(Compare op, Node *a, Node *b) {
  require_same_dtype(name_of(op), {a, b});
  const Shape shape = broadcast_shape(name_of(op), a->type.shape, b->type.shape);
  auto evaluate = [op](const Arrays &in, Array &out) {
    visit(in[0].type.dtype,
          [&](auto tag) { evaluate_compare<typename decltype(tag)::type>(op, in[0], in[1], out); });
  };
  return a->graph->add({name_of(op), evaluate}, {a, b}, {shape, MPSDataTypeBool});
}

Node *logical(Logical op, Node *a, Node *b) {
  const char *name = op == Logical::And ? "and" : op == Logical::Or ? "or" : "not";
  const Nodes inputs = b ? Nodes{a, b} : Nodes{a, a};
  for (Node *input : inputs) {
    if (input->type.dtype != MPSDataTypeBool)
      fail_op(name, "operands must be of type i1, got " + text(input->type));
  }
  auto evaluate = [op](const Arrays &in, Array &out) {
    map2<Boolean, Boolean>(in[0], in[1], out, [op](int64_t x, int64_t y) {
      return (int64_t)(op == Logical::And ? x && y : op == Logical::Or ? x || y : !x);
    });
  };
  const Shape shape = broadcast_shape(name, a->type.shape, inputs[1]->type.shape);
  return a->graph->add({name, evaluate}, inputs, {shape, MPSDataTypeBool});
}

Node *select(Node *predicate, Node *a, Node *b) {
  if (predicate->type.dtype != MPSDataTypeBool) {
    fail_op("select", "predicate must be of type i1, got " + text(predicate->type));
  }
  require_same_dtype("select", {a, b});
  Shape shape = broadcast_shape("select", a->type.shape, b->type.shape);
  shape = broadcast_shape("select", predicate->type.shape, shape);
  return a->graph->add({"select", evaluate_select}, {predicate, a, b},
                       {shape, a->type.dtype});
}

}  // namespace headless
