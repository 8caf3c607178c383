#import <Foundation/Foundation.h>

#include "guard.h"

namespace onestep {

onestep_status *guard_objective_c(Body body, void *context) {
  @autoreleasepool {
    @try {
      return body(context);
    } @catch (NSException *e) {
      const char *reason = [[e reason] UTF8String];
      return failure(ONESTEP_INTERNAL, "%s: %s", [[e name] UTF8String], reason ? reason : "no reason")
          .release();
    }
  }
}

}  // namespace onestep
