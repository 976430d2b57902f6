/* What doctor looks at in the certificate of TLS: is it valid now, and for how long? */
#include <errno.h>
#include <string.h>
#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "ctl.h"
#include "finding.h"

enum { DAYS = 14 }; /* before the end: renewals that work come earlier */

static const char *const remedy = "renew it, then send SIGHUP to the master; see TLS in chatd(8)";

static void judge(const X509 *certificate)
{
    int days, seconds, begun, begun_seconds;
    if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) ||
        !ASN1_TIME_diff(&begun, &begun_seconds, NULL, X509_get0_notBefore(certificate)))
        finding_bad("certificate", remedy, "its times cannot be read");
    else if (days < 0 || seconds < 0)
        finding_bad("certificate", remedy, "it expired %d days ago", -days);
    else if (begun > 0 || begun_seconds > 0)
        finding_bad("certificate", "wait, or correct the clock", "it is not valid yet");
    else if (days < DAYS)
        finding_bad("certificate", remedy, "it expires in %d days", days);
    else
        finding_good("certificate", "valid for %d days", days);
}

void doctor_tls(void)
{
    const char *path = ctl.conf.tls_certificate_file;
    if (!*path)
        return;
    FILE *f = fopen(path, "re");
    X509 *certificate = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    if (!f)
        finding_bad("certificate", "correct tls_certificate_file", "%s: %s", path, strerror(errno));
    else if (!certificate)
        finding_bad("certificate", "correct tls_certificate_file", "%s: no certificate in PEM",
                    path);
    else
        judge(certificate);
    X509_free(certificate);
    if (f)
        fclose(f);
}
