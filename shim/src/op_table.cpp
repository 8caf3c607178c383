#include "op_table.h"

namespace onestep {

namespace {
constexpr OpInfo kOps[] = {
#define ONESTEP_OP_INFO(name, code, least, most) {#name, code, least, most},
    ONESTEP_OPS(ONESTEP_OP_INFO)
#undef ONESTEP_OP_INFO
};
}  // namespace

const OpInfo *find_op(uint32_t code) {
  for (const OpInfo &op : kOps) {
    if (op.code == code) return &op;
  }
  return nullptr;
}

}  // namespace onestep
