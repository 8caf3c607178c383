// The last object of the library: constructors run in link order, and the warm-up needs every
// class to be registered.
extern "C" void headless_runtime_init(void);

__attribute__((constructor)) static void headless_start() { headless_runtime_init(); }
