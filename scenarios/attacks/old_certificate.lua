--- A CTA's first operator certificate, recorded as it was brought, is brought again after a change of service (attack P4). The CTA takes
--- only what starts later than all that it has seen, and remembers that also when it has no certificate any more; with the check off the old
--- one replaces the new.
scenario { title = "Old operator certificate", tags = { "attack", "lifecycle" }, attack = "P4", limit = "1h" }

local net = topology "two_branches" { operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1 }
local mallory = net:attacker "mallory" { on = net.hfc1 }
local invariants = shared "invariants" (net, { ctas = { alice }, breaks = { I8 = true } })

local function ask(want, answer)
  local call = alice:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type(want)
  call:expect { heard = contains(answer), within = "60s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
end

run(function()
  alice:boot()
  alice:expect { telephony = "UnprovisionedAccess", within = "60s" }
  local first = mallory:record_file { from = net.pca, to = alice }
  ask("want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice", "number=2155550200")
  first:expect { "the certificate is recorded", ready = true }
  local first_start = alice.certificate_starts
  alice:expect { telephony = "ProvisionedAccess", within = "90s" }

  local second = mallory:record_file { from = net.pca, to = alice }
  ask("want=change;number=2155550200;options=3way", "done=change")
  second:expect { ready = true }
  alice:expect { telephony = "ReceivedOperatorCertificate", certificates = 2 }
  alice:expect { telephony = "ProvisionedAccess", within = "90s" }
  local start = alice.certificate_starts
  claim("the new one starts later", start > first_start, start)

  local old = mallory:bring_certificate { file = first, to = alice }
  outcome {
    stopped = function()
      old:expect { answer = "refused", by = "cta.check_start_time", within = "10s" }
      expect_refusals { by = "cta.check_start_time", at = alice, count = 1 }
      alice:expect { certificates_refused = 1, certificates = 2, certificate_starts = start, telephony = "ProvisionedAccess" }

      -- nor is it, or the newer one, taken by a CTA that has none any more
      net.pca:terminate "215-555-0200"
      net.pca:expect { customers = 0, within = "30s" }
      alice:dial("411"):expect { state = "failed", within = "30s" }
      alice:expect { certificates_removed = 1, telephony = "UnprovisionedAccess", within = "90s" }
      for _, file in ipairs { first, second } do
        mallory:bring_certificate({ file = file, to = alice }):expect { answer = "refused", by = "cta.check_start_time", within = "10s" }
      end
      alice:expect { certificates_refused = 3, certificates = 2, telephony = "UnprovisionedAccess" }
      claim("I8 holds", invariants.broken "I8" == 0)
    end,
    succeeded = function()
      old:expect { answer = "taken", within = "10s" }
      alice:expect { "its start is below the highest seen", certificates = 3, certificate_starts = first_start }
      wait "3s"
      claim("I8 is broken", invariants.broken "I8" > 0)
    end,
  }
end)
