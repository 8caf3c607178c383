// What Foundation.h takes from headers outside the metadata: the runtime's own (Apple's), and the few
// C types of Core Foundation and Core Graphics that signatures mention.
#import <Availability.h>
#import <TargetConditionals.h>
#import <dispatch/dispatch.h>
#import <objc/NSObject.h>
#import <objc/objc.h>
#import <stdarg.h>
#import <stdbool.h>
#import <stddef.h>
#import <stdint.h>
#import <sys/types.h>

#define NS_ASSUME_NONNULL_BEGIN _Pragma("clang assume_nonnull begin")
#define NS_ASSUME_NONNULL_END _Pragma("clang assume_nonnull end")
#define NS_ENUM(type, name) \
    enum __attribute__((enum_extensibility(open))) name : type name; \
    enum name : type
#ifdef __cplusplus
#define NS_OPTIONS(type, name) \
    type name; \
    enum __attribute__((flag_enum, enum_extensibility(open))) : type
#else
#define NS_OPTIONS(type, name) \
    enum __attribute__((flag_enum, enum_extensibility(open))) name : type name; \
    enum name : type
#endif
#define NS_RETURNS_RETAINED __attribute__((ns_returns_retained))
#define NS_UNAVAILABLE __attribute__((unavailable))

typedef double CGFloat;
typedef double CFTimeInterval;
typedef struct CGPoint { CGFloat x, y; } CGPoint;
typedef struct CGSize { CGFloat width, height; } CGSize;
typedef struct CGRect { CGPoint origin; CGSize size; } CGRect;
typedef struct CGColorSpace *CGColorSpaceRef;
typedef struct CGImage *CGImageRef;
typedef const struct __CFString *CFStringRef;
typedef struct __CFError *CFErrorRef;
typedef struct __IOSurface *IOSurfaceRef;
typedef int kern_return_t;
