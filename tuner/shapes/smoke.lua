-- smoke.lua: one problem of each kind that matters, small enough for seconds.
return {
  doc = "a handful of small problems: does everything work here?",
  problems = {
    "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b1t1hk16hv32",
    "recurrent:final:vk:bf16/f32:k128v128:l2norm:g / b8t1hk16hv32",
    "recurrent:final:kv:f32/f32:k64v64:g / b2t1hk4hv4",
    "recurrent:ring:vk:bf16/bf16:k128v128:l2norm:g:round / b2t2hk4hv8",
    "recurrent:indexed:vk:bf16/f32:k128v128:l2norm:g / b2t4hk4hv8",
  },
}
