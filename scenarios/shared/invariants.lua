--- Invariants that scenarios about the life of CTAs are held to, as standing claims, and one for when traffic is quiet. (I4 is the host's own:
--- never { record = "wrong" }.)
---
---   local invariants = shared "invariants" (net, { ctas = { alice }, others = { 0, 1 }, reach = { net.announce } })
---   ... invariants.agree "in the end"                                       inside run()
--- net is a two_branches with operations; ctas: those whose accounts it watches, made at that time; others: subscribers of a branch beside
--- them; reach: what a CTA without an account reaches beside KDC, controller, head-end, customer service and provisioning CA.
---
--- I5   an unprovisioned CTA reaches only those: nobody else accepts a packet of it
--- I6   an issued certificate carries the caller's key: no CTA is brought one for another
--- I8   no return to an older credential: a CTA never holds a certificate that starts earlier than one that it has held
--- An attack that breaks one of them says so, breaks = { I6 = true }: that one is not claimed here, broken "I6" says how often it was found
--- broken, and the attack claims that it never was where it is stopped, that it was where it succeeds.
---
--- I10  provisioning CA, billing host, controllers and head-ends agree about every account: agree()
return function(net, given)
  local life = shared "lifecycle" (net, given)
  local states = {} -- of each CTA when it was looked at last
  local found = {} -- how often each of those in given.breaks was broken

  local function may_break(name)
    return given.breaks and given.breaks[name]
  end

  local function broken(name, title, because)
    if may_break(name) then
      found[name] = (found[name] or 0) + 1
    else
      claim(name .. ": " .. title, false, because)
    end
  end

  if not may_break "I6" then
    never { "I6: a certificate for another's key", message = { by = "cta.certificate_key" } }
  end

  local function others_than(cta)
    local allowed = { [cta.name] = true }
    for _, model in ipairs { "kdc", "signaling_controller", "cmts", "csr", "provisioning_ca", "router" } do
      for _, node in ipairs(net:nodes(model)) do
        allowed[node.name] = true
      end
    end
    for _, node in ipairs(given.reach or {}) do
      allowed[node.name] = true
    end
    local others = {}
    for _, node in ipairs(net:nodes()) do
      if not allowed[node.name] then
        others[#others + 1] = node
      end
    end
    return others
  end

  local function look(cta)
    local before = states[cta.name]
    local state = {
      tickets = cta.tickets, unprovisioned = cta.telephony ~= "ProvisionedAccess" and cta.telephony ~= "ReceivedOperatorCertificate",
      reached = #before.others > 0 and messages { from = cta, to = before.others, fate = "accepted" } or 0,
      latest = math.max(before.latest, cta.certificate_starts or 0), others = before.others,
    }
    -- without a ticket in between it was unprovisioned all the time
    if before.unprovisioned and state.unprovisioned and before.tickets == state.tickets and state.reached ~= before.reached then
      broken("I5", cta.name .. " without an account reaches nobody else", (state.reached - before.reached) .. " messages")
    end
    if cta.certificate_starts and cta.certificate_starts < before.latest then
      broken("I8", cta.name .. " does not go back to an older certificate", cta.certificate_starts .. " < " .. before.latest)
    end
    states[cta.name] = state
  end

  run(function()
    for _, cta in ipairs(given.ctas) do
      states[cta.name] = { tickets = -1, latest = 0, others = others_than(cta) }
    end
    every("2s", function()
      for _, cta in ipairs(given.ctas) do
        look(cta)
      end
    end)
  end)

  return {
    agree = life.agree,
    broken = function(name)
      return name == "I6" and messages { by = "cta.certificate_key" } or found[name] or 0
    end,
  }
end
