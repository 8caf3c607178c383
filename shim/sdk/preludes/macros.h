// Macros of the generated headers.
//
// With ONESTEP_SDK_CENSUS every declaration that came from the metadata is marked deprecated with its
// own description, so that the compiler reports each use of it, already resolved.
#pragma once

#ifdef ONESTEP_SDK_CENSUS
#define SDK_DECLARATION(description, ...) __attribute__((deprecated("sdk|" description)))
#else
#define SDK_DECLARATION(description, ...) __VA_ARGS__
#endif
#define SDK_AVAILABLE(...) __attribute__((availability(macos, __VA_ARGS__)))

#define SDK_ENUM(type, name) \
    enum __attribute__((enum_extensibility(open))) name : type; \
    typedef enum name name; \
    enum name : type
#ifdef __cplusplus
#define SDK_OPTIONS(type, name) \
    typedef type name; \
    enum __attribute__((flag_enum, enum_extensibility(open))) : name
#define SDK_EXTERN extern "C"
#else
#define SDK_OPTIONS(type, name) \
    enum __attribute__((flag_enum, enum_extensibility(open))) name : type; \
    typedef enum name name; \
    enum name : type
#define SDK_EXTERN extern
#endif
