// Elementwise functions of one operand.
#include "broadcast.h"

#include "runtime.h"
#include <cmath>
#include <limits>

namespace headless {
namespace {

const char *name_of(Unary op) {
  switch (op) {
    case Unary::Identity: return "identity";
    case Unary::Negative: return "negative";
    case Unary::Absolute: return "absolute";
    case Unary::Sign: return "sign";
    case Unary::Floor: return "floor";
    case Unary::Ceil: return "ceil";
    case Unary::Exponent: return "exponent";
    case Unary::Logarithm: return "logarithm";
    case Unary::Square: return "square";
    case Unary::SquareRoot: return "square_root";
    case Unary::ReverseSquareRoot: return "reverse_square_root";
    case Unary::Reciprocal: return "reciprocal";
    case Unary::Sin: return "sin";
    case Unary::Cos: return "cos";
    case Unary::Tanh: return "tanh";
    case Unary::Sigmoid: return "sigmoid";
    case Unary::Erf: return "erf";
    case Unary::ReLU: return "relu";
  }
}

// Integers have these only.
bool works_on_integers(Unary op) {
  return op == Unary::Identity || op == Unary::Negative || op == Unary::Absolute ||
         op == Unary::Sign || op == Unary::Square || op == Unary::ReLU;
}

template <class T>
void evaluate_any(Unary op, const Array &x, Array &y) {
  using C = Compute<T>;
  switch (op) {
    case Unary::Negative: return map1<T, T>(x, y, [](C v) { return -v; });
    case Unary::Absolute:
      return map1<T, T>(x, y, [](C v) { return v < 0 ? -v : v == 0 ? C(0) : v; });
    case Unary::Sign: return map1<T, T>(x, y, [](C v) { return v > 0 ? C(1) : v < 0 ? C(-1) : v; });
    case Unary::Square: return map1<T, T>(x, y, [](C v) { return v * v; });
    case Unary::ReLU: return map1<T, T>(x, y, [](C v) { return v <= 0 ? C(0) : v; });
    default: memcpy(y.memory.get(), x.memory.get(), x.bytes());  // Identity
  }
}

template <class T>
void evaluate_float(Unary op, const Array &x, Array &y) {
  switch (op) {
    case Unary::Floor: return map1<T, T>(x, y, [](float v) { return std::floor(v); });
    case Unary::Ceil: return map1<T, T>(x, y, [](float v) { return std::ceil(v); });
    case Unary::Exponent: return map1<T, T>(x, y, [](float v) { return std::exp(v); });
    case Unary::Logarithm: return map1<T, T>(x, y, [](float v) { return std::log(v); });
    case Unary::SquareRoot: return map1<T, T>(x, y, [](float v) { return std::sqrt(v); });
    case Unary::ReverseSquareRoot:
      return map1<T, T>(x, y, [](float v) { return 1.0f / std::sqrt(v); });
    case Unary::Reciprocal: return map1<T, T>(x, y, [](float v) { return 1.0f / v; });
    case Unary::Sin: return map1<T, T>(x, y, [](float v) { return std::sin(v); });
    case Unary::Cos: return map1<T, T>(x, y, [](float v) { return std::cos(v); });
    case Unary::Tanh: return map1<T, T>(x, y, [](float v) { return std::tanh(v); });
    case Unary::Sigmoid:
      return map1<T, T>(x, y, [](float v) { return 1.0f / (1.0f + std::exp(-v)); });
    case Unary::Erf: return map1<T, T>(x, y, [](float v) { return std::erf(v); });
    default: return evaluate_any<T>(op, x, y);
  }
}

void evaluate(Unary op, const Array &x, Array &y) {
  visit(x.type.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<Compute<T>, float>) {
      evaluate_float<T>(op, x, y);
    } else {
      evaluate_any<T>(op, x, y);
    }
  });
}

}  // namespace

Node *unary(Unary op, Node *x) {
  if (!is_float(x->type.dtype) && !works_on_integers(op)) {
    fail_op(name_of(op), "operand must be of a floating-point type, got " + text(x->type));
  }
  Rule rule = {name_of(op), [op](const Arrays &in, Array &out) { evaluate(op, in[0], out); }};
  return x->graph->add(std::move(rule), {x}, x->type);
}

Node *test(Test op, Node *x) {
  if (!is_float(x->type.dtype))
    fail_op("is_nan", "operand must be of a floating-point type, got " + text(x->type));
  const char *name = op == Test::NaN ? "is_nan" : op == Test::Finite ? "is_finite" : "is_infinite";
  auto evaluate = [op](const Arrays &in, Array &out) {
    visit(in[0].type.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      map1<T, Boolean>(in[0], out, [op](auto v) {
        const float value = (float)v;
        return (int64_t)(op == Test::NaN      ? std::isnan(value)
                         : op == Test::Finite ? std::isfinite(value)
                                              : std::isinf(value));
      });
    });
  };
  return x->graph->add({name, evaluate}, {x}, {x->type.shape, MPSDataTypeBool});
}

namespace {

// A number as an element of type To, or what is nearest to it: a Boolean is whether it is not 0,
// integers stop at their limits, and NaN becomes 0.
template <class To, class From>
Compute<To> convert(From value) {
  if constexpr (std::is_same_v<To, Boolean>) {
    return value != 0;
  } else if constexpr (std::is_integral_v<To> && std::is_same_v<From, float>) {
    const float low = (float)std::numeric_limits<To>::min();
    const float high = (float)std::numeric_limits<To>::max();
    if (std::isnan(value)) return 0;
    if (value <= low) return std::numeric_limits<To>::min();
    return value >= high ? std::numeric_limits<To>::max() : (Compute<To>)value;
  } else {
    return (Compute<To>)value;
  }
}

}  // namespace

Node *cast(Node *x, MPSDataType dtype) {
  visit(dtype, [](auto) {});  // refuses types that there are not
  auto evaluate = [dtype](const Arrays &in, Array &out) {
    visit(in[0].type.dtype, [&](auto from) {
      visit(dtype, [&](auto to) {
        using From = typename decltype(from)::type;
        using To = typename decltype(to)::type;
        map1<From, To>(in[0], out, [](auto v) { return convert<To>(v); });
      });
    });
  };
  return x->graph->add({"cast", evaluate}, {x}, {x->type.shape, dtype});
}

}  // namespace headless
