-- fault.lua: what a compiler may say of a kernel for cards; 0 is a good one.
-- The faults are sm_75's alone, so that other chips have a clean run.
return {
  op = "recurrent",
  doc = "a kernel that compiles, spills, or does not compile",
  steps = {
    { entry = "gdr_kernel", grid = { "b*hv" }, block = "@(threads)",
      smem = "@(1024 * smem)", in_flight = "@(threads * 64)" },
  },
  tune = {
    fault = { values = { 0, 1, 2, 3 }, doc = "see fault.cu" },
    threads = { values = { 128, 256 }, doc = "of a block" },
    smem = { values = { 0, 16 }, doc = "KiB of dynamic shared memory" },
  },
  where = {
    { "faults are for sm_75",
      function(c, s, d) return c.fault == 0 or d.arch == "sm_75" end },
    { "one config of each fault",
      function(c) return c.fault == 0 or c.threads == 128 and c.smem == 0 end },
  },
  defaults = {
    { max_work = math.huge, fault = 0, threads = 128, smem = 0 },
  },
}
