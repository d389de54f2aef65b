/*
 * The signaling controller of a segment, as far as other elements' construction needs it: who is in its subscriber database
 * when a run starts.
 */
#ifndef TOLLGATE_MODELS_SIGNALING_CONTROLLER_H
#define TOLLGATE_MODELS_SIGNALING_CONTROLLER_H

#include "models/model.h"

/* Enters a subscriber before the run starts, and its number into the operator's directory. False: no number, or one that
 * is somebody's already. */
bool signaling_controller_subscribe(struct node *controller, const char *number, const uint8_t mac[6], uint32_t ip);
/* "sc/NAME". Borrowed. */
const char *signaling_controller_principal(const struct node *controller);
extern const struct model model_signaling_controller;

#endif
