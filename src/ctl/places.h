/*
 * Where things are: the configuration, its secrets, and the migrations.
 *
 * They are found beside the executable, as make install puts them below PREFIX, so that no path is
 * built in; or, for a build that is not installed, in the checkout.
 */
#ifndef PLACES_H
#define PLACES_H

/* The configuration, whether it is there or not; "" if this executable is not installed. Static. */
const char *places_conf(void);

/* The program that brings a database up to date, in the folder of the migrations. Ends the program
 * if it is nowhere. Static. */
const char *places_migrate(void);

/* The folder for the secrets of a configuration: etc/chatd for etc/chatd.conf, and for
 * etc/chatd/chatd.conf etc/chatd/secrets. For free(3). */
char *places_secrets(const char *conf);

#endif
