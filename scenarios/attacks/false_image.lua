--- The head-end's TFTP server speaks in clear, and somebody on the segment puts another software image into the place of the
--- manufacturer's, block by block: the same version, with a made-up operator's certificate in it, signed by a made-up manufacturer
--- (attack P8; patent [0160]). The device holds an image to its manufacturer's key; one that does not look runs it, and the certificate
--- that its operator issues afterwards is no operator's to it.
scenario { title = "False software image", tags = { "attack", "lifecycle" }, attack = "P8", turns_off = { "cta.verify_image" }, limit = "1h" }

local net = topology "two_branches" { operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1 }
local carol = net:cta "carol" { dhcp = true, branch = 1 }
local mallory = net:attacker "mallory" { on = net.hfc1 }

run(function()
  local image = mallory:record_file { from = net.cmts1, to = carol, holds = "tollgate-image" }
  carol:boot()
  image:expect { ready = true, within = "60s" }
  carol:expect { telephony = "UnprovisionedAccess", software_signed = true, within = "60s" }

  local put = mallory:substitute_file { file = mallory:forge_file { file = image }, from = net.cmts1, to = alice, holds = "tollgate-image" }
  alice:boot()
  outcome {
    stopped = function()
      expect_refusals { by = "cta.verify_image", at = alice, count = at_least(1), within = "60s" }
      alice:expect { hfc = "NotConfigured", telephony = "NotConfigured", software = "", software_signed = true }
      claim("it has had the whole of it", put.hits >= 10, put.hits)
      mallory:release()
      alice:expect { "it goes on as soon as the real one comes", telephony = "UnprovisionedAccess", software_signed = true, within = "5min" }
      alice:expect { software = carol.software }
    end,
    succeeded = function()
      alice:expect { "it runs what its manufacturer never signed", software_signed = false, telephony = "UnprovisionedAccess", within = "60s" }
      alice:expect { software = carol.software }
      local call = alice:dial "411"
      call:expect { state = "talking", within = "10s" }
      call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice"
      expect_refusals { "the operator's certificate is no operator's to it", by = "cta.verify_certificate", at = alice, count = at_least(1),
        within = "60s" }
      alice:expect { certificates = 0 }
    end,
  }
end)
