#include "check.h"

#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

namespace check {

static int failures = 0;

std::vector<Test> &tests() {
  static std::vector<Test> all;
  return all;
}

void fail(const char *file, int line, const std::string &message) {
  fprintf(stderr, "%s:%d: %s\n", file, line, message.c_str());
  ++failures;
}

bool aborts(const std::function<void()> &action) {
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    if (!freopen("/dev/null", "w", stderr)) _exit(2);
    action();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void near(const char *file, int line, const std::vector<float> &got, const std::vector<float> &want,
          double tolerance) {
  if (got.size() != want.size()) {
    fail(file, line,
         std::to_string(got.size()) + " numbers instead of " + std::to_string(want.size()));
    return;
  }
  for (size_t i = 0; i < got.size(); ++i) {
    if (isnan(want[i]) ? isnan(got[i]) : got[i] == want[i]) continue;
    if (fabs((double)got[i] - (double)want[i]) <= tolerance * fmax(1.0, fabs((double)want[i])))
      continue;
    char text[120];
    snprintf(text, sizeof text, "number %zu is %.9g instead of %.9g", i, (double)got[i],
             (double)want[i]);
    fail(file, line, text);
    return;
  }
}

}  // namespace check

int main(int count, char **arguments) {
  int run = 0;
  for (const check::Test &test : check::tests()) {
    if (count > 1 && !strstr(test.name, arguments[1])) continue;
    @autoreleasepool {
      test.run();
    }
    ++run;
  }
  if (headless_live_allocations() != 0) {
    headless_report_live();
    check::fail("leak", 0, "Metal memory is alive at the end");
  }
  printf("%d tests, %d failures\n", run, check::failures);
  return check::failures != 0;
}
