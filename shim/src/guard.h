// Every exported call runs inside entry(): it has its own autorelease pool, and no exception of
// Objective-C or C++ leaves it.
#pragma once

#include <type_traits>

#include "status.h"

namespace onestep {

using Body = onestep_status *(*)(void *context);

// guard.mm: the pool, and NSExceptions as statuses.
onestep_status *guard_objective_c(Body body, void *context);
// guard.cpp: C++ exceptions as statuses. A plain C++ frame, because the GNU runtime cannot catch
// them in Objective-C++.
onestep_status *guard(Body body, void *context);

// Runs a callable that returns a Status.
template <class F>
onestep_status *entry(F &&f) {
  using Callable = std::remove_reference_t<F>;
  return guard([](void *context) { return (*static_cast<Callable *>(context))().release(); }, &f);
}

}  // namespace onestep
