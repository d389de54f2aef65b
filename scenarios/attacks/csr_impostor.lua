--- An impostor with a CTA of his own calls customer service and gives orders about somebody else's line (attack P11; the patent has no
--- defence). The centre takes them only from the line itself, by the number that its controller has proven, or from who knows the PIN, of
--- which nobody has more than three guesses; a centre that takes anybody's word changes a stranger's options and ends her service.
scenario { title = "Impostor at customer service", tags = { "attack", "lifecycle" }, attack = "P11", limit = "1h" }

local net = topology "two_branches" { operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1 }
local mallory = net:cta "mallory" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }

-- What customer service answers a CTA that says this.
local function ask(cta, want)
  local call = cta:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type(want)
  call:expect { heard = contains "=", within = "60s" }
  local answer = call.heard
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
  return answer
end

run(function()
  alice:boot()
  bob:boot()
  alice:expect { telephony = "UnprovisionedAccess", within = "60s" }
  ask(alice, "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice;pin=4711")
  alice:expect { telephony = "ProvisionedAccess", within = "90s" }
  mallory:boot()
  mallory:expect { telephony = "UnprovisionedAccess", within = "60s" }

  local answer = ask(mallory, "want=change;number=2155550200;options=forwarding")
  outcome {
    stopped = function()
      claim("an order about another's line", answer == "refused=csr.verify_caller", answer)
      for _, pin in ipairs { "0000", "1234", "1111" } do
        ask(mallory, "want=terminate;number=2155550200;pin=" .. pin)
      end
      answer = ask(mallory, "want=terminate;number=2155550200;pin=4711")
      claim("a fourth guess, though it is right", answer == "refused=csr.verify_caller", answer)
      expect_refusals { by = "csr.verify_caller", at = net.service, count = 5 }
      claim("nothing has changed", net.bh:options "215-555-0200" == "", net.bh:options "215-555-0200")
      net.pca:expect { customers = 1, requests = 1 }
      answer = ask(alice, "want=change;number=2155550200;options=3way")
      claim("the line itself", answer:find "^done=change", answer)
    end,
    succeeded = function()
      claim("an order about another's line", answer:find "^done=change", answer)
      claim("her options are his", net.bh:options "215-555-0200" == "forwarding", net.bh:options "215-555-0200")
      answer = ask(mallory, "want=terminate;number=2155550200")
      claim("and an end of it", answer:find "^done=terminate", answer)
      net.pca:expect { customers = 0 }
      net.bh:expect { accounts = 0 }
      net.sc1:expect { subscribers = 0 }
      alice:dial(bob.number):expect { "she calls nobody any more", state = "failed", within = "30s" }
    end,
  }
end)
