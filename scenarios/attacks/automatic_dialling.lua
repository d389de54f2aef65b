--- An emergency call that reaches customer service instead (attack S6): one forged packet in the KDC's name makes a customer's CTA, which
--- believes it, throw its certificate away (K8), and a CTA without one that dials by itself [0140] calls customer service whatever its
--- customer dials. Without automatic dialling 911 is reached all the same, certificate or none.
scenario {
  title = "Emergency call lost to automatic dialling", tags = { "attack", "lifecycle" }, attack = "S6", limit = "1h",
  set = { ["cta.trust_krb_error"] = "on" },
}

local net = topology "two_branches" {
  operations = true, restricted = "411,911", reach = "10.104.0.20",
  server = { number = "911", lines = 10, announcement = "5s" }, -- stands for the emergency centre
}
local alice = net:cta "alice" { dhcp = true, branch = 1, transport = "udp" }
local mallory = net:attacker "mallory" { on = net.hfc1 }

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }

run(function()
  alice:boot()
  alice:expect { telephony = "UnprovisionedAccess", within = "60s" }
  local call = alice:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice"
  call:expect { heard = contains "number=2155550200", within = "60s" }
  call:hangup()
  alice:expect { telephony = "ProvisionedAccess", certificates = 1, within = "90s" }
  call = alice:dial "911"
  call:expect { "with her certificate 911 is 911", state = "talking", from = net.announce, within = "10s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "5s" }

  local as_req = mallory:capture { kind = "AS-REQ", to = net.kdc1 }
  alice:restart()
  as_req:expect { ready = true, within = "30s" }
  mallory:forge_krb_error({ capture = as_req }):expect { fate = "accepted", within = "1s" }
  alice:expect { certificates_removed = 1, telephony = "UnprovisionedAccess", within = "60s" }

  call = alice:dial "911"
  outcome {
    stopped = function()
      call:expect { "911 is reached without a certificate", state = "talking", from = net.announce, within = "10s" }
      net.announce:expect { calls = 1 }
      net.service:expect { "nobody else is called", calls = 0 }
    end,
    succeeded = function()
      call:expect { "customer service answers the emergency call", state = "talking", from = net.service, within = "10s" }
      net.announce:expect { "the emergency centre hears of none", calls = 0 }
    end,
  }
  call:hangup()
  call:expect { keys_destroyed = true, within = "5s" }
end)
