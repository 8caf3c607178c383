// GNUstep's headers look for this name.
#include <Block.h>
