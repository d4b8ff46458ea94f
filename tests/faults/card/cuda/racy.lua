-- racy.lua: for tests/emu.t, a kernel whose threads do not wait for each other.
return {
  op = "recurrent",
  doc = "a missing block_sync",
  steps = { { entry = "gdr_kernel", template = "racy.cu", grid = { "b" },
    block = "64" } },
  tune = { n = { values = { 1 }, doc = "nothing" } },
}
