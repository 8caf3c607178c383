// Optimizer steps on gradients that the caller holds.
#pragma once

#include "optimizer_rules.h"
#include "queue.h"

namespace onestep {

Status run_optimizer(const OptimizerRule &rule, onestep_optimizer_call *call);

}  // namespace onestep
