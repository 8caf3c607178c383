#include "op_table.h"

namespace onestep {

namespace {
constexpr OpInfo kOps[] = {
#define ONESTEP_OP(name, code, least, most) {#name, code, least, most},
#include "../ops.def"
#undef ONESTEP_OP
};
}  // namespace

const OpInfo *find_op(uint32_t code) {
  for (const OpInfo &op : kOps) {
    if (op.code == code) return &op;
  }
  return nullptr;
}

}  // namespace onestep
