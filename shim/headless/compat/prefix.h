// Included before everything: GNUstep's spellings of YES, NO and nil do not work with clang's
// literals and nullability checks.
#pragma once
#ifdef __OBJC__
#import <Foundation/Foundation.h>
#undef YES
#undef NO
#define YES __objc_yes
#define NO __objc_no
#undef nil
#undef Nil
#ifdef __cplusplus
#define nil __null
#define Nil __null
#else
#define nil ((id)0)
#define Nil ((Class)0)
#endif
#endif
