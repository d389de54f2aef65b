--- A customer makes up a CA under the operator's name and signs itself a certificate for another customer's number with it. The KDC refuses
--- the chain, and must not know the certificate's thumbprint when it comes again (attack K10; patent [0104]). Where the thumbprint is
--- remembered before the chain has been verified, the second request gets a ticket in the victim's name.
scenario { title = "Forged certificate on the thumbprint cache", tags = { "attack" }, attack = "K10",
  turns_off = { "kdc.cache_after_verify" } }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local kdc = net.kdc1
local mallory = net:attacker "mallory" { on = net.hfc1, provisioned = "215-555-0199", controller = net.sc1 }

run(function()
  local function ask()
    return mallory:ticket { server = "sc/sc1", kdc = kdc, as = alice.number }
  end
  alice:boot()
  alice:expect { telephony = "ProvisionedAccess", within = "5s" }
  local known, hits = kdc.cached_certificates, kdc.cache_hits

  local first = ask()
  first:expect { refused = "KDC_ERR_CANT_VERIFY_CERTIFICATE", within = "5s" }
  expect_refusals { by = "kdc.verify_certificate", at = kdc, from = mallory, count = 1 }
  local second = ask()
  outcome {
    stopped = function()
      second:expect { refused = "KDC_ERR_CANT_VERIFY_CERTIFICATE", ready = false, within = "5s" }
      expect_refusals { "neither the first nor the second", by = "kdc.verify_certificate", at = kdc, from = mallory, count = 2 }
      kdc:expect { cached_certificates = known, cache_hits = hits }
    end,
    succeeded = function()
      second:expect { "a ticket by a forged certificate", ready = true, client = alice.principal, server = "sc/sc1", within = "5s" }
      claim("which is not its own name", second.client ~= mallory.principal)
      kdc:expect { cached_certificates = known + 1, cache_hits = hits + 1 }
    end,
  }
end)
