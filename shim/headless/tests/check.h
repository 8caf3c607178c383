// A minimal test harness: named tests, checks that print what went wrong.
#pragma once
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>
#include <headless.h>
#include <functional>
#include <stdio.h>
#include <string>
#include <vector>

namespace check {

struct Test {
  const char *name;
  void (*run)();
};
std::vector<Test> &tests();

struct Registration {
  Registration(const char *name, void (*run)()) { tests().push_back({name, run}); }
};

void fail(const char *file, int line, const std::string &message);
// True if `action`, run in a child process, ends by abort().
bool aborts(const std::function<void()> &action);

void near(const char *file, int line, const std::vector<float> &got, const std::vector<float> &want,
          double tolerance);

}  // namespace check

#define TEST(name)                                             \
  static void name();                                          \
  static check::Registration name##_registration(#name, name); \
  static void name()
#define CHECK(...) ((__VA_ARGS__) ? (void)0 : check::fail(__FILE__, __LINE__, #__VA_ARGS__))
#define CHECK_ABORTS(...) CHECK(check::aborts([&] { __VA_ARGS__; }))
#define CHECK_NEAR(got, want, tolerance) check::near(__FILE__, __LINE__, got, want, tolerance)
