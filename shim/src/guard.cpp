#include "guard.h"

#include <exception>
#include <new>

namespace onestep {

onestep_status *guard(Body body, void *context) {
  try {
    return guard_objective_c(body, context);
  } catch (const std::bad_alloc &) {
    return host_out_of_memory().release();
  } catch (const std::exception &e) {
    return failure(ONESTEP_INTERNAL, "%s", e.what()).release();
  } catch (...) {
    return failure(ONESTEP_INTERNAL, "an exception of an unknown type").release();
  }
}

}  // namespace onestep
