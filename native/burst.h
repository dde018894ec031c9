// Several runs of a plan in a row without JavaScript between them: what one run chose becomes the input of the next.
#pragma once
#include <cstdint>
#include <vector>

namespace triga {

// How the inputs of the next run follow from this one's, as data; inputs and outputs are indices of the plan's.
struct Burst {
  int64_t steps = 1;  // at most; 1: a single run, and nothing else here matters

  // Each row's chosen id: an i32 output [R], which becomes the i32 input `tokens` [R].
  int32_t ids = -1, tokens = -1;
  // i32 inputs of which numbers first, first + stride, … grow by one.
  struct Counter {
    int32_t input;
    int64_t first, stride;
  };
  std::vector<Counter> counters;
  // The input `slots` [R] names where position `positions`[r] lies by the row's block table [R, blocks].
  int32_t slots = -1, positions = -1, tables = -1;
  // A row that chooses one of these ends the burst; so does an id below 0.
  std::vector<int32_t> stops;
};

}  // namespace triga
