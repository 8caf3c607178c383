// Every struct of the C interface lies as layout.def says.

#include "../include/onestep.h"

#define ONESTEP_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type);
#define ONESTEP_OFFSET(type, field, bytes) \
  static_assert(offsetof(type, field) == (bytes), #type "." #field);
#include "../layout.def"
