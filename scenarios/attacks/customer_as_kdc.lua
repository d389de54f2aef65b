--- A customer answers another's AS-REQ in the KDC's place, with his own operator certificate: it is by the same CA as the KDC's (attack K4).
--- The CTA asks whether the certificate is a KDC's by its extended key usage (RFC 4556 section 3.2.4); as the patent has it, whatever
--- chains to the operator's root is a KDC.
scenario { title = "A customer's certificate as a KDC's", tags = { "attack" }, attack = "K4" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local mallory = net:attacker "mallory" { on = net.hfc1, provisioned = "215-555-0199", controller = net.sc1 }
local kdc = net.kdc1

run(function()
  local false_kdc = mallory:false_kdc { victim = alice, kdc = kdc, certificate = "own" }
  alice:boot()
  outcome {
    stopped = function()
      false_kdc:expect { fate = "refused", by = "cta.require_kdc_eku", within = "5s" }
      expect_refusals { by = "cta.require_kdc_eku", at = alice, count = at_least(1) }
      alice:expect { tickets = 0, telephony = "NotConfigured", pkinit_refusal = "cta.require_kdc_eku" }
      mallory:release()
      alice:expect { "the real one's", tickets = 1, telephony = "ProvisionedAccess", within = "2min" }
    end,
    succeeded = function()
      false_kdc:expect { "a device is accepted as KDC", fate = "accepted", within = "5s" }
      alice:expect { tickets = 1, telephony = "ProvisionedAccess" }
      expect_messages { "the KDC has not heard of her", kind = "AS-REQ", from = alice, to = kdc, fate = "accepted", count = 0 }
      local call = alice:dial "411"
      call:expect { state = "failed", within = "60s" }
      expect_refusals { by = "ticket.integrity", at = net.sc1, from = alice, count = at_least(1) }
    end,
  }
end)
