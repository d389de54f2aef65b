--- A recorded AS-REQ is sent to the KDC eleven minutes later. Its replay cache has forgotten the authenticator by then, for the check of
--- times makes it worthless; without that check the KDC signs and seals a second answer for one request (attack K2).
scenario { title = "AS-REQ replay, late", tags = { "attack" }, attack = "K2", turns_off = { "kdc.check_time" } }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101" }
local kdc = net.kdc1
local mallory = net:attacker "mallory" { on = net.hfc1 }

run(function()
  local as_req = mallory:capture { kind = "AS-REQ", from = alice, to = kdc }
  alice:boot()
  alice:expect { telephony = "ProvisionedAccess", within = "5s" }
  as_req:expect { ready = true, kind = "AS-REQ" }
  kdc:expect { authenticators = at_least(1) }

  wait "11min"
  local replay = mallory:send(as_req)
  outcome {
    stopped = function()
      replay:expect { fate = "refused", by = "kdc.check_time", answer = "KRB-ERROR", within = "2s" }
      expect_messages { "one AS-REP", kind = "AS-REP", from = kdc, to = { alice, mallory }, count = 1 }
    end,
    succeeded = function()
      replay:expect { fate = "accepted", answer = "AS-REP", within = "2s" }
      expect_messages { "two AS-REPs for one request", kind = "AS-REP", from = kdc, to = { alice, mallory }, count = 2 }
    end,
  }
end)
