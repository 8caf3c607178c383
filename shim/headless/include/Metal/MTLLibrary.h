// The part of Apple's Metal that own kernels use: names and types as in the SDK.
#pragma once
#import <Metal/MTLDevice.h>

#ifdef __cplusplus
extern "C" {
#endif
extern NSString *const MTLLibraryErrorDomain;
#ifdef __cplusplus
}
#endif

typedef NS_ENUM(NSUInteger, MTLLibraryError) {
  MTLLibraryErrorUnsupported = 1,
  MTLLibraryErrorInternal = 2,
  MTLLibraryErrorCompileFailure = 3,
  MTLLibraryErrorCompileWarning = 4,
  MTLLibraryErrorFunctionNotFound = 5,
  MTLLibraryErrorFileNotFound = 6,
};

@interface MTLCompileOptions : NSObject <NSCopying> {
  BOOL _fastMathEnabled;
}
@property (readwrite, nonatomic) BOOL fastMathEnabled;
@end

@protocol MTLFunction <NSObject>
@property (copy) NSString *label;
@property (readonly) id<MTLDevice> device;
@property (readonly) NSString *name;
@end

@protocol MTLLibrary <NSObject>
@property (copy) NSString *label;
@property (readonly) id<MTLDevice> device;
@property (readonly) NSArray<NSString *> *functionNames;
- (id<MTLFunction>)newFunctionWithName:(NSString *)functionName;
@end
