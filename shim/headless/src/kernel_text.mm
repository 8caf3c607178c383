// What a text declares, and how it becomes a library of the host.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <fstream>
#include <regex>
#include "kernels.h"

namespace headless {
namespace {

// Where the headers lie that give Metal's words a meaning in C++: beside this file.
std::string headers() {
  const std::string file = __FILE__;
  return file.substr(0, file.rfind('/')) + "/../kernels";
}

// The entries that all kernels have in common.
std::string entries(const std::vector<Kernel> &kernels) {
  std::string text;
  for (const Kernel &kernel : kernels) {
    text += "extern \"C\" void host_" + kernel.name +
            "(void* const* b, unsigned int g, unsigned int t) { " + kernel.name + "(";
    for (size_t i = 0; i < kernel.arguments.size(); ++i)
      text += "(" + kernel.arguments[i] + "*)b[" + std::to_string(i) + "], ";
    text += "g, t); }\n";
  }
  return text;
}

std::string read_file(const std::string &path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A folder that goes with all that is in it.
struct Folder {
  // mkdtemp replaces the last six characters.
  std::string path = temporary() + "/headless-XXXXXX";
  bool made = mkdtemp(path.data()) != nullptr;
  std::string file(const char *name) const { return path + "/" + name; }
  ~Folder() {
    for (const char *name : {"kernels.cpp", "kernels.so", "log"}) unlink(file(name).c_str());
    rmdir(path.c_str());
  }
  static std::string temporary() {
    const char *set = getenv("TMPDIR");
    return set && *set ? set : "/tmp";
  }
};

}  // namespace

std::vector<Kernel> kernels_of(const std::string &source) {
  static const std::regex head(
      R"(\[\[kernel, max_total_threads_per_threadgroup\((\d+)\)\]\] void (\w+)\(([^{]*)\{)");
  static const std::regex argument(R"(DEVICE (?:const )?(\w+)\* a\d+ \[\[buffer\((\d+)\)\]\])");
  static const std::regex shared(R"(SHARED (?:float|int) \w+\[(\d+)\])");
  std::vector<Kernel> kernels;
  for (std::sregex_iterator at(source.begin(), source.end(), head), end; at != end; ++at) {
    const std::string arguments = (*at)[3];
    const size_t from = (size_t)(at->position() + at->length());
    const std::string body = source.substr(from, source.find("\n}\n", from) - from);
    Kernel kernel;
    kernel.threads = std::stoul((*at)[1]);
    kernel.name = (*at)[2];
    for (std::sregex_iterator a(arguments.begin(), arguments.end(), argument); a != end; ++a)
      kernel.arguments.push_back((*a)[1]);
    for (std::sregex_iterator a(body.begin(), body.end(), shared); a != end; ++a)
      kernel.threadgroup_bytes += 4 * std::stoul((*a)[1]);
    kernel.waits = body.find("BARRIER()") != std::string::npos;
    kernels.push_back(kernel);
  }
  return kernels;
}

bool compile_kernels(const std::string &source, std::vector<Kernel> &kernels, std::string &error) {
  if (std::regex_search(source, std::regex(R"(\bdouble\b)"))) {
    error = "'double' is not supported in Metal";
    return false;
  }
  Folder folder;
  std::ofstream(folder.file("kernels.cpp"))
      << "#include \"threads.h\"\n" << source << entries(kernels);
  const char *named = getenv("ONESTEP_CXX");
  const std::string command = std::string(named ? named : "clang++-19") +
                              " -std=c++17 -O1 -ffp-contract=off -w -shared -fPIC -I '" + headers() +
                              "' '" + folder.file("kernels.cpp") + "' -o '" +
                              folder.file("kernels.so") + "' 2>'" + folder.file("log") + "'";
  if (!folder.made || system(command.c_str()) != 0) {
    error = folder.made ? read_file(folder.file("log")) : "no folder for the compiler";
    return false;
  }
  // Never closed: command buffers may run its functions until the process ends.
  void *library = dlopen(folder.file("kernels.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    error = dlerror();
    return false;
  }
  for (Kernel &kernel : kernels) {
    kernel.entry = (Kernel::Entry)dlsym(library, ("host_" + kernel.name).c_str());
    kernel.run = (Kernel::Run)dlsym(library, "host_run");
  }
  return true;
}

}  // namespace headless
