--- A recorded AS-REQ is sent to the KDC again, over another connection. Its replay cache refuses it; without one the KDC signs and
--- seals a second answer for one request (attack K2).
scenario { title = "AS-REQ replay", tags = { "attack" }, attack = "K2", turns_off = { "kdc.replay_cache" } }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101" }
local hfc1, kdc = net.hfc1, net.kdc1
local mallory = net:attacker "mallory" { on = hfc1 }

run(function()
  local as_req = mallory:capture { kind = "AS-REQ", from = alice, to = kdc }
  alice:boot()
  alice:expect { telephony = "ProvisionedAccess", within = "5s" }
  as_req:expect { ready = true, kind = "AS-REQ" }

  local replay = mallory:send(as_req)
  outcome {
    stopped = function()
      replay:expect { fate = "refused", by = "kdc.replay_cache", answer = "KRB-ERROR", within = "2s" }
      expect_messages { "one AS-REP", kind = "AS-REP", from = kdc, to = { alice, mallory }, count = 1 }
    end,
    succeeded = function()
      replay:expect { fate = "accepted", answer = "AS-REP", within = "2s" }
      expect_messages { "two AS-REPs for one request", kind = "AS-REP", from = kdc, to = { alice, mallory }, count = 2 }
    end,
  }
end)
