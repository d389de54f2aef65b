--- One forged KRB-ERROR makes a CTA ask its head-end whether it still has an account (attack K8), and the answer comes by TFTP in clear.
--- Somebody on the segment puts a configuration of its own in its place, newer than any, that says no (attack P8; patent [0131]). The CTA
--- holds it to the operator's signature; one that does not look throws its valid certificate away.
scenario { title = "Forged configuration", tags = { "attack", "lifecycle" }, attack = "P8", turns_off = { "cta.verify_config" }, limit = "1h" }

local net = topology "two_branches" { operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1, transport = "udp" }
local mallory = net:attacker "mallory" { on = net.hfc1 }

run(function()
  local configuration = mallory:record_file { from = net.cmts1, to = alice, holds = "tollgate-configuration" }
  alice:boot()
  alice:expect { telephony = "UnprovisionedAccess", within = "60s" }
  configuration:expect { ready = true }
  local call = alice:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice"
  call:expect { heard = contains "number=2155550200", within = "60s" }
  call:hangup()
  alice:expect { telephony = "ProvisionedAccess", certificates = 1, within = "90s" }

  local as_req = mallory:capture { kind = "AS-REQ", to = net.kdc1 }
  alice:restart()
  as_req:expect { ready = true, within = "30s" }
  mallory:forge_krb_error { capture = as_req }
  local forged = mallory:forge_file { file = configuration, provisioned = false }
  local put = mallory:substitute_file { file = forged, from = net.cmts1, to = alice, holds = "tollgate-configuration" }
  outcome {
    stopped = function()
      expect_refusals { by = "cta.verify_config", at = alice, count = at_least(1), within = "60s" }
      alice:expect { certificates_removed = 0 }
      mallory:release()
      alice:expect { "its head-end knows better", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "5min" }
      alice:expect { certificates_removed = 0, certificates = 1 }
    end,
    succeeded = function()
      alice:expect { "the certificate is gone", certificates_removed = 1, within = "60s" }
      claim("by what the attacker signed", put.hits > 0, put.hits)
      alice:expect { "though it has an account", telephony = "UnprovisionedAccess", within = "60s" }
      net.pca:expect { customers = 1 }
      net.sc1:expect { subscribers = 1 }
    end,
  }
end)
