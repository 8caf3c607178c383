#pragma once
namespace onestep { class OptimizerCache {}; }
