--- CTAs that have their service and nothing to do: what each takes of memory. For tests/bench/bench_memory.c.
scenario {
  title = "Idle CTAs", tags = { "scale" }, args = { ctas = 1000, every = "10ms", rest = "600s" },
  messages = false, limit = "10h",
}

local net = topology "two_branches" {}
local ctas = {}
for i = 1, args.ctas do
  local number = string.format("215-%03d-%04d", 500 + i // 10000, i % 10000)
  ctas[i] = net:cta("a" .. i) { provisioned = number, branch = 1 + i % 2 }
end
print("made")

run(function()
  for i = 1, args.ctas do
    ctas[i]:boot()
    wait(args.every)
  end
  for i = 1, args.ctas do
    ctas[i]:expect { telephony = "ProvisionedAccess", within = "10s" }
  end
  print("booted")
  wait(time(ns(args.rest)))
  print("idle")
end)
