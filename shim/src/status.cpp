#include "status.h"

#include <cstdarg>
#include <cstdio>

namespace onestep {

namespace {
// Made before anything can fail, so that "out of memory" can be said without memory.
onestep_status out_of_host_memory{ONESTEP_OUT_OF_MEMORY, "the host has no memory left"};
}  // namespace

Status failure(onestep_code code, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return Status(new onestep_status{code, text});
}

Status host_out_of_memory() { return Status(&out_of_host_memory); }

}  // namespace onestep

extern "C" {

int32_t onestep_status_code(const onestep_status *status) {
  return status ? status->code : ONESTEP_OK;
}

const char *onestep_status_message(const onestep_status *status) {
  return status ? status->message.c_str() : "";
}

void onestep_status_release(onestep_status *status) {
  if (status != &onestep::out_of_host_memory) delete status;
}
}
