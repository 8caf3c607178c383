// Makes blocks instances of a class, and sends the first message to every Foundation class that the
// shim uses from one thread: in gcc's runtime two threads that trigger +initialize of a class
// cluster at once can crash.
#import <Foundation/Foundation.h>
#include <string.h>

extern "C" {
void *_Block_copy(const void *block);
void _Block_release(const void *block);
extern void *_NSConcreteStackBlock[32], *_NSConcreteMallocBlock[32], *_NSConcreteGlobalBlock[32];
// Present when LeakSanitizer is linked.
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));
void headless_runtime_init(void);
}

@interface HeadlessBlock : NSObject
@end
@implementation HeadlessBlock
- (id)copy {
  return (id)_Block_copy((void *)self);
}
- (id)copyWithZone:(NSZone *)zone {
  return (id)_Block_copy((void *)self);
}
- (id)retain {
  return (id)_Block_copy((void *)self);
}
- (oneway void)release {
  _Block_release((void *)self);
}
- (NSUInteger)retainCount {
  return 1;
}
@end

// A block's `isa` points at these arrays, so they must look like the class.
static void make_block_classes() {
  const size_t class_size = 13 * sizeof(void *);  // struct objc_class of gcc's runtime
  Class block = [HeadlessBlock class];
  memcpy(_NSConcreteStackBlock, (void *)block, class_size);
  memcpy(_NSConcreteMallocBlock, (void *)block, class_size);
  memcpy(_NSConcreteGlobalBlock, (void *)block, class_size);
}

static void touch_collections() {
  NSMutableArray *array = [NSMutableArray arrayWithCapacity:2];
  [array addObject:[NSNumber numberWithInt:1]];
  [array addObject:[NSNumber numberWithLong:1]];
  [array addObject:[NSNumber numberWithDouble:1.5]];
  [array addObject:[NSNumber numberWithBool:YES]];
  [array addObject:[NSNumber numberWithUnsignedLong:3]];
  NSMutableDictionary *dictionary = [NSMutableDictionary dictionary];
  [dictionary setObject:array forKey:@"k"];
  (void)[[dictionary copy] autorelease];
  (void)[[array copy] autorelease];
  for (id key in dictionary) (void)[[dictionary objectForKey:key] description];
  for (id number in array) (void)[number description];
  (void)[NSArray arrayWithObjects:array, dictionary, nil];
  (void)[NSArray array];
  (void)[NSDictionary dictionaryWithObject:array forKey:dictionary];
  (void)[[NSString stringWithFormat:@"%@ %d", dictionary, 3] UTF8String];
  (void)[NSString stringWithUTF8String:"x"];
  (void)[NSData dataWithBytes:"x" length:1];
  (void)[NSMutableData dataWithLength:4];
  (void)[NSNull null];
  (void)[NSThread currentThread];
}

static void touch_errors() {
  NSDictionary *info = [NSDictionary dictionaryWithObject:@"x" forKey:NSLocalizedDescriptionKey];
  (void)[[NSError errorWithDomain:@"x" code:1 userInfo:info] localizedDescription];
  @try {
    [NSException raise:@"x" format:@"%d", 1];
  } @catch (NSException *exception) {
    (void)[exception reason];
  } @
  try {
    (void)[[NSArray array] objectAtIndex:99];
  } @catch (NSException *exception) {
    (void)[exception reason];
  } @
  try {
    [(id)[[NSObject new] autorelease] performSelector:@selector(objectAtIndex:)];
  } @catch (NSException *exception) {
    (void)[exception reason];
  }
}

extern "C" void headless_runtime_init(void) {
  static const bool done = [] {
    if (__lsan_disable) __lsan_disable();  // what the runtime allocates once is no leak of the shim
    @autoreleasepool {
      make_block_classes();
      touch_collections();
      touch_errors();
    }
    if (__lsan_enable) __lsan_enable();
    return true;
  }();
  (void)done;
}
